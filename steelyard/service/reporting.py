"""The report of a stored run: written, or of a run in memory; in all formats that people read, or for other tools."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard import plugins
from steelyard.artifact import receipt
from steelyard.core.errors import SteelyardError, UsageError, unknown_name
from steelyard.core.reason import reason_of
from steelyard.core.run import Run
from steelyard.core.visible import visible
from steelyard.render.drawing import pictures
from steelyard.render.output import Report, ReportInputs, details, kind, save
from steelyard.render.venue import look_of, room_of
from steelyard.store import open_run, uncollected
from steelyard.tables.build import lay_out
from steelyard.tables.case_details import cases
from steelyard.tables.cases import Cases
from steelyard.tables.facts import gather
from steelyard.tables.imported import imported_tables
from steelyard.tables.records import records
from steelyard.tables.words import how_to_go_on, what_it_says

FOLDER = "report"
"""Where a report lies inside its run, unless told otherwise."""


class PartsFailed(SteelyardError):
    """Figures or formats of a report failed; the others were written, as `lines` say."""

    def __init__(self, lines: Sequence[str], failed: Sequence[str]) -> None:
        super().__init__(f"not all of the report could be made: {'; '.join(failed)}")
        self.lines = tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What came of a report: the formats that were written, a line for each of them, and what failed and why."""

    formats: tuple[str, ...]
    lines: tuple[str, ...]
    failed: tuple[str, ...]

    def whole(self) -> tuple[str, ...]:
        """The lines. Raises PartsFailed if anything failed."""
        if self.failed:
            raise PartsFailed(self.lines, self.failed)
        return self.lines


def found(path: Path) -> Iterator[str]:
    """What a run that has just been stored says of its headline, and how to go on, in lines. Whatever is wrong with it
    is told: it is no reason to end a run as if it had failed."""
    try:
        facts = gather(open_run(path))
        yield from (visible(told, lines=True) for told in (what_it_says(facts), how_to_go_on(facts)) if told)
    except Exception as error:  # noqa: BLE001 (as of a report)
        yield f"what it found cannot be told: {reason_of(error)}"


def reported(path: Path) -> Iterator[str]:
    """Write the report of a run that has just been stored, and tell it in lines. It may fail; the run stays whole."""
    try:
        yield from write_report(path)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is no reason to end a run as if it had failed)
        yield from getattr(error, "lines", ())
        again = shlex.join(("bench", "report", str(path)))
        yield f"the report failed: {reason_of(error)}; the run is stored whole, and {again} makes its report"


def write_report(
    path: Path,
    formats: Sequence[str] = ("all",),
    output: Path | None = None,
    *,
    beside: Sequence[Path] = (),
    earlier: Sequence[Path] = (),
    venue: str = "",
) -> tuple[str, ...]:
    """Write the report of the run stored at `path`. Returns a line per format: its name and where to begin reading.

    `beside` are files of other benchmark tools, `earlier` runs of the same history, `venue` is where figures are to
    appear. Raises UsageError for an unknown format or venue, for a format that holds no history, and for a file of
    another form; StoreError for a run that cannot be read,
    SteelyardError for a directory that cannot be written, PartsFailed once all that can be made is written.
    """
    _formats(formats)  # a wrong name is told before a long run is read
    look_of(venue)
    directory = output if output is not None else path / FOLDER
    history = [open_run(item) for item in earlier]
    return write_run(open_run(path), formats, directory, beside=beside, earlier=history, venue=venue)


def write_run(
    run: Run,
    formats: Sequence[str],
    directory: Path,
    *,
    beside: Sequence[Path] = (),
    earlier: Sequence[Run] = (),
    venue: str = "",
) -> tuple[str, ...]:
    """The same for runs in memory. The folder says of itself how it was made (`steelyard.artifact.receipt`)."""
    with uncollected():
        inputs, chosen = inputs_of(run, formats, beside=beside, earlier=earlier, venue=venue)
        written = write_all(inputs, chosen, directory)
    batch = receipt.Batch(
        formats=written.formats,
        figures_beside=inputs.figures_beside,
        beside=receipt.beside_of(beside),
        earlier=tuple(item.manifest.run_id for item in earlier),
        venue=venue if inputs.pictures else "",
    )
    made = receipt.with_batch(receipt.read_receipt(directory), run.manifest.run_id, run.digest, batch)
    save(directory / receipt.NAME, receipt.receipt_text(made))
    return written.whole()


def inputs_of(
    run: Run,
    formats: Sequence[str],
    *,
    beside: Sequence[Path] = (),
    earlier: Sequence[Run] = (),
    venue: str = "",
    saved: bool = True,
) -> tuple[ReportInputs, list[Report]]:
    """What the reports of these formats are given, and the reports themselves. Raises UsageError as `write_report`.

    `saved` says whether pictures are made or only their numbers and captions.
    """
    names = _formats(formats)
    chosen = [plugins.reports()[name] for name in names]
    if earlier and (others := [entry.name for entry in chosen if kind(entry) != "export"]):
        raise UsageError(f"several runs are a history, which {', '.join(others)} cannot hold; name one run")
    if beside and not any(kind(entry) == "tables" for entry in chosen):
        raise UsageError(f"--with prints tables, and {', '.join(names)} has none; choose another --format as well")
    tables = imported_tables(beside)
    facts = gather(run)
    data = lay_out(facts)
    data = replace(data, tables=(*data.tables, *tables))
    history = [gather(item) for item in earlier]
    draws = any(entry.draws for entry in chosen)
    if venue and not draws:
        raise UsageError(f"--venue is about figures, and {', '.join(names)} has none; choose another --format as well")
    inputs = ReportInputs(
        data=data,
        pictures=pictures(plugins.figures().values(), data, look_of(venue), saved=saved) if draws else (),
        figures_beside="figures" in names,
        room=room_of(venue),
        records=tuple(map(records, (*history, facts))) if any(kind(entry) == "export" for entry in chosen) else (),
        cases=cases(facts) if any(details(entry) for entry in chosen) else Cases(),
        remark=_remark,
    )
    return inputs, chosen


def write_all(inputs: ReportInputs, chosen: Sequence[Report], directory: Path) -> Written:
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
    return Written(formats=tuple(lines), lines=tuple(lines.values()), failed=tuple(failed))


def _formats(formats: Sequence[str]) -> tuple[str, ...]:
    known = plugins.reports()
    if not formats:
        raise UsageError(f"--format names nothing; valid: all, {', '.join(sorted(known))}")
    for name in formats:
        if name != "all" and name not in known:
            raise unknown_name("report format", name, [*known, "all"])
    chosen = [name for name in formats if name != "all"]
    if "all" in formats:  # what a person reads; what another tool reads is written when it is named
        chosen += [name for name in known if kind(known[name]) != "export"]
        return tuple(sorted(set(chosen)))
    return tuple(dict.fromkeys(chosen))


def _entry(files: Sequence[Path], directory: Path) -> Path:
    """The file that a reader opens first: the report itself or its only file, or the folder that holds many."""
    named = [path for path in files if path.stem == "report"]
    if named:
        return named[0]
    if len(files) == 1:
        return files[0]
    return files[0].parent if files else directory


def _remark(line: str) -> None:
    print(visible(line, lines=True), file=sys.stderr)
