"""The files of a report: which formats there are, and writing those that were chosen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard import plugins
from steelyard.core.errors import SteelyardError, UsageError, unknown_name
from steelyard.core.reason import reason_of
from steelyard.render.output import Report, ReportInputs, kind


class PartsFailed(SteelyardError):
    """Figures or formats of a report failed; the others were written, as `lines` say."""

    def __init__(self, lines: Sequence[str], failed: Sequence[str]) -> None:
        super().__init__(f"not all of the report could be made: {'; '.join(failed)}")
        self.lines = tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """What came of a report: the formats that were written, a line for each of them, and what failed and why."""

    formats: tuple[str, ...]
    lines: tuple[str, ...]
    failed: tuple[str, ...]

    def whole(self) -> tuple[str, ...]:
        """The lines. Raises PartsFailed if anything failed."""
        if self.failed:
            raise PartsFailed(self.lines, self.failed)
        return self.lines


def write_all(inputs: ReportInputs, chosen: Sequence[Report], directory: Path) -> WrittenReport:
    """Write the chosen reports of the same inputs. One that fails keeps no other from being written.

    Raises UsageError for what a report refuses, SteelyardError for a directory that cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SteelyardError(f"{directory}: cannot be made: {error.strerror}; give another directory") from error
    lines: dict[str, str] = {}
    failed = [f"figure {picture.name}: {picture.reason}" for picture in inputs.pictures if picture.failed]
    for entry in chosen:
        try:
            lines[entry.name] = f"{entry.name}: {_entry(entry.write(inputs, directory), directory)}"
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 (a report may be of another package)
            failed.append(f"{entry.name}: {reason_of(error)}")
    return WrittenReport(formats=tuple(lines), lines=tuple(lines.values()), failed=tuple(failed))


def formats_of(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats that are meant, each once. Raises UsageError for one that is not there, and for none at all."""
    known = plugins.reports()
    if not formats:
        raise UsageError(f"--format names nothing; valid: all, {', '.join(sorted(known))}")
    for name in formats:
        if ":" in name:
            report_named(name)  # raises UsageError where there is none
        elif name != "all" and name not in known:
            raise unknown_name("report format", name, [*known, "all"])
    chosen = [name for name in formats if name != "all"]
    if "all" in formats:  # what a person reads; what another tool reads is written when it is named
        chosen += [name for name in known if kind(known[name]) != "export"]
        return tuple(sorted(set(chosen)))
    return tuple(dict.fromkeys(chosen))


def table_formats(formats: str) -> tuple[str, ...]:
    """The formats of a comma list that print tables alone: a figure shows one run, an export writes one. Raises
    UsageError."""
    known = [name for name, entry in plugins.reports().items() if kind(entry) == "tables"]
    wanted = tuple(dict.fromkeys(name.strip() for name in formats.split(",") if name.strip()))
    if not wanted:
        raise UsageError(f"--format names nothing; valid: all, {', '.join(sorted(known))}")
    for name in wanted:
        if name in plugins.reports() and name not in known:
            raise UsageError(f"the format {name} is of one run; choose among all, {', '.join(sorted(known))}")
        if name != "all" and name not in known:
            raise unknown_name("report format", name, [*known, "all"])
    return tuple(sorted(known)) if "all" in wanted else wanted


def report_named(name: str) -> Report:
    """The report of a registered name, or of `module:REPORT`."""
    found: Report = plugins.report(name) if ":" in name else plugins.reports()[name]
    return found


def _entry(files: Sequence[Path], directory: Path) -> Path:
    """The file that a reader opens first: the report itself or its only file, or the folder that holds many."""
    named = [path for path in files if path.stem == "report"]
    if named:
        return named[0]
    if len(files) == 1:
        return files[0]
    return files[0].parent if files else directory
