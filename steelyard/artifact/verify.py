"""A run, a report's folder or a bundle, traced back to raw samples as far as it goes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard.artifact import bundle, receipt
from steelyard.artifact.archive import SUFFIXES, unpack
from steelyard.artifact.finding import Finding, whole
from steelyard.artifact.rendered import Versions
from steelyard.artifact.report_check import Render, RenderAcross, check_across, check_report
from steelyard.artifact.stored import check_stored
from steelyard.core.errors import StoreError, UsageError
from steelyard.core.run import Run
from steelyard.guard.scratch import scratch
from steelyard.store import is_of, read_manifest, run_of_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was verified (`run`, `report`, `comparison`, `bundle`), of which run, and all that was found.

    A comparison is a report of several runs; `run` is None there.
    """

    what: str
    run: Run | None
    findings: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        """Whether everything was traced."""
        return whole(self.findings)


def is_run(directory: Path) -> bool:
    """Whether a folder is a stored run."""
    return (directory / "manifest.json").is_file()


@contextmanager
def opened(source: Path) -> Iterator[Path]:
    """The folder of a bundle: as it lies, or unpacked for the time being. Raises StoreError for what is none."""
    if source.is_dir():
        yield source
        return
    if not source.name.endswith(SUFFIXES):
        raise StoreError(f"{source}: not a bundle: neither a folder nor a {' or '.join(SUFFIXES)}")
    with scratch() as directory:
        root = unpack(source, directory)
        if not bundle.is_bundle(root):
            raise StoreError(f"{source}: not a bundle: it lacks SHA256SUMS or run/manifest.json")
        yield root


def verify_run(path: Path, render: Render, digest: str | None = None, *, drawn: bool = True) -> Verification:
    """A stored run, and the report inside it where there is one."""
    run, found = check_stored(path, digest)
    folder = path / bundle.REPORT
    if folder.is_dir() and run is not None:
        found += tuple(check_report(folder, run, render, drawn=drawn))
    elif folder.is_dir():
        found += (Finding(kind="untraced", where=bundle.REPORT, text="not looked at: the run cannot be read"),)
    return Verification(what="run", run=run, findings=found)


def verify_report(
    directory: Path,
    runs: Path,
    render: Render,
    digest: str | None = None,
    of: Path | None = None,
    *,
    drawn: bool = True,
) -> Verification:
    """A report's folder against its run: `of`, or the one beside it, or the one of that id below `runs`."""
    path, why = (of, "") if of is not None else _run_of(directory, runs)
    if path is None:
        text = f"the run that it was made from cannot be found: {why}; name it with --run"
        return Verification(
            what="report", run=None, findings=(Finding(kind="untraced", where=str(directory), text=text),)
        )
    run, found = check_stored(path, digest)
    if run is None:
        found += (Finding(kind="untraced", where=str(directory), text="not looked at: its run cannot be read"),)
    else:
        found += tuple(check_report(directory, run, render, drawn=drawn))
    return Verification(what="report", run=run, findings=found)


def verify_across(
    directory: Path, made: receipt.Receipt, across: receipt.Across, runs: Path, of: Sequence[Path], render: RenderAcross
) -> Verification:
    """The folder of a report of several runs against them: those in `of`, the others by their ids below `runs`."""
    given = {read_manifest(path).run_id: path for path in of}
    read: dict[str, Run | None] = {}
    found: list[Finding] = []
    for source in (source for side in across.sides for source in side):
        if source.run in read:
            continue
        path, why = (given[source.run], "") if source.run in given else _below(runs, source.run)
        if path is None:
            read[source.run] = None
            text = f"the run {source.run} that it was made from cannot be found: {why}; name it with --run"
            found.append(Finding(kind="untraced", where=str(directory), text=text))
            continue
        read[source.run], told = check_stored(path)
        found += [replace(finding, where=f"{source.run}: {finding.where}") for finding in told]
    sides = [[run for source in side if (run := read[source.run]) is not None] for side in across.sides]
    if None in read.values():
        found.append(Finding(kind="untraced", where=str(directory), text="not looked at: not all of its runs are read"))
    else:
        found += check_across(directory, made, across, sides, render)
    return Verification(what="comparison", run=None, findings=tuple(found))


def verify_bundle(root: Path, render: Render, digest: str | None = None, *, drawn: bool = True) -> Verification:
    """An unpacked bundle: its sums, its run, what was written from the run, its report."""
    done = verify_run(root / bundle.RUN, render, digest)
    if done.run is None:
        return Verification(what="bundle", run=None, findings=done.findings)
    made = receipt.read_receipt(root / bundle.REPORT)
    by = receipt.tool() if made is None else made.tool
    versions = Versions(tool=by, same_tool=by == receipt.tool())
    found = [*done.findings, *bundle.check_files(root, done.run, versions)]
    if (root / bundle.REPORT).is_dir():
        found += check_report(root / bundle.REPORT, done.run, render, drawn=drawn)
    return Verification(what="bundle", run=done.run, findings=tuple(found))


def _run_of(directory: Path, runs: Path) -> tuple[Path | None, str]:
    """The run of a report's folder, or None and why there is none."""
    made = receipt.read_receipt(directory)
    above = directory.resolve().parent
    for path in (above, above / bundle.RUN):
        if is_run(path) and (made is None or path.name == bundle.RUN or is_of(path, made.run)):
            return path, ""
    if made is None:
        return None, f"it lies in no run, and no {receipt.NAME} names one"
    return _below(runs, made.run)


def _below(runs: Path, name: str) -> tuple[Path | None, str]:
    """The run of an id below a folder, or None and why there is none. The id was read from a file."""
    try:
        return run_of_id(runs, name), ""
    except UsageError as error:
        return None, str(error)
