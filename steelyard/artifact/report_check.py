"""A report's folder held against the run that it was rendered from, by rendering it again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from steelyard import plugins
from steelyard.artifact import receipt as receipts
from steelyard.artifact.finding import Finding
from steelyard.artifact.receipt import Across, Batch, Receipt, ReportedRun
from steelyard.artifact.rendered import Versions, compare_files
from steelyard.core.errors import SteelyardError
from steelyard.core.run import Run
from steelyard.render.output import kind
from steelyard.store import left_behind
from steelyard.tables.format import counted

Render = Callable[[Run, Batch], Mapping[str, Mapping[str, bytes]]]
"""Renders a batch of a run: by format the bytes of each file by its name in the folder. Raises SteelyardError."""

RenderAcross = Callable[[Sequence[Sequence[Run]], Across, Batch], Mapping[str, Mapping[str, bytes]]]
"""The same for a report of several runs, by their sides."""


def files_of(directory: Path) -> dict[str, Path]:
    """The files of a folder by their names in it; links are listed and not followed.

    What desktops and editors leave behind is none of them.
    """
    inside = sorted(path for path in directory.rglob("*") if path.is_symlink() or path.is_file())
    names = {path.relative_to(directory).as_posix(): path for path in inside}
    return {name: path for name, path in names.items() if not left_behind(name)}


def strangers_of(directory: Path) -> tuple[Finding, ...]:
    """What desktops and editors left in a folder, named."""
    names = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))
    text = "left by a desktop or an editor, ignored"
    return tuple(Finding(kind="note", where=name, text=text) for name in names if left_behind(name))


def check_report(directory: Path, run: Run, render: Render, *, drawn: bool = True) -> Iterator[Finding]:
    """Every file of the folder against the same formats of the run rendered anew.

    `drawn` says whether `render` draws pictures, or makes only the numbers beside them.
    """
    found, links = _listed(directory)
    yield from links
    receipt = receipts.read_receipt(directory)
    if receipt is None:
        batches: tuple[Batch, ...] = (_guessed(found, run, render),)
        named = ", ".join(batches[0].formats) or "nothing that a report writes"
        text = f"no {receipts.NAME} says how it was made; taken to be {named}, with the options of today"
        yield Finding(kind="note", where="report", text=text)
        versions = Versions(tool=receipts.tool(), drawn=drawn)
    else:
        yield from _same_run(receipts.ReportedRun(run=receipt.run, digest=receipt.digest), run)
        batches = receipt.batches
        versions = _versions(receipt, drawn=drawn)
    yield from _held_against(found, batches, lambda batch: render(run, batch), versions)


def check_across(
    directory: Path, receipt: Receipt, across: Across, sides: Sequence[Sequence[Run]], render: RenderAcross
) -> Iterator[Finding]:
    """The same for a report of several runs; `sides` are those that `across` names, in its order."""
    found, links = _listed(directory)
    yield from links
    for sources, runs in zip(across.sides, sides, strict=True):
        for source, run in zip(sources, runs, strict=True):
            yield from _same_run(source, run)
    versions = _versions(receipt, drawn=True)
    yield from _held_against(found, receipt.batches, lambda batch: render(sides, across, batch), versions)


def _listed(directory: Path) -> tuple[dict[str, Path], tuple[Finding, ...]]:
    """What is to be held against the run, and the links and strangers, which are not looked at."""
    found = files_of(directory)
    found.pop(receipts.NAME, None)
    links = [name for name, path in found.items() if path.is_symlink()]
    for name in links:
        del found[name]
    told = [Finding(kind="untraced", where=name, text="a link, which no report writes") for name in links]
    return found, (*told, *strangers_of(directory))


def _versions(receipt: Receipt, *, drawn: bool) -> Versions:
    return Versions(
        tool=receipt.tool,
        drawn=drawn,
        same_tool=receipt.tool == receipts.tool(),
        same_drawing=dict(receipt.drawing) == receipts.drawing(),
        same_arithmetic=dict(receipt.arithmetic) == receipts.arithmetic(),
    )


def _held_against(
    found: Mapping[str, Path],
    batches: Sequence[Batch],
    render: Callable[[Batch], Mapping[str, Mapping[str, bytes]]],
    versions: Versions,
) -> Iterator[Finding]:
    expected: dict[str, bytes] = {}
    refused: list[str] = []
    for batch in batches:
        try:
            for files in render(batch).values():
                expected.update(files)
        except SteelyardError as error:
            refused += batch.formats
            text = f"cannot be rendered anew: {error}"
            yield Finding(kind="untraced", where=", ".join(batch.formats), text=text)
    left = set(found) - set(expected) if refused else set()
    if left:
        text = f"{counted(len(left), 'file')} not looked at, as {' or '.join(refused)} may have written them"
        yield Finding(kind="untraced", where="report", text=text)
    yield from compare_files({name: path for name, path in found.items() if name not in left}, expected, versions)


def _same_run(source: ReportedRun, run: Run) -> Iterator[Finding]:
    if source.run != run.manifest.run_id:
        text = f"it says that it was made from run {source.run}, not from {run.manifest.run_id}"
        yield Finding(kind="wrong", where=receipts.NAME, text=text)
    elif source.digest != run.digest:
        text = (
            f"it was made from another state of run {source.run}: its digest was "
            f"{(source.digest or 'none')[:12]}, now it is {(run.digest or 'none')[:12]}; "
            "a resumed run needs its report written again"
        )
        yield Finding(kind="wrong", where=receipts.NAME, text=text)


def _guessed(found: Mapping[str, Path], run: Run, render: Render) -> Batch:
    """The formats of which the folder holds any file, as `bench report` would write them today.

    What draws figures is tried only where files are left that nothing else writes.
    """
    known = [entry for entry in plugins.reports().values() if kind(entry) != "export"]
    made: dict[str, Mapping[str, bytes]] = {}
    for draws in (False, True):
        names = tuple(entry.name for entry in known if entry.draws == draws)
        if set(found) - {file for files in made.values() for file in files}:
            made |= render(run, Batch(formats=names, figures_beside=True))
    present = tuple(sorted(name for name, files in made.items() if set(files) & set(found)))
    return Batch(formats=present, figures_beside="figures" in present)
