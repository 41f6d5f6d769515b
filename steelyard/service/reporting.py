"""The report of a stored run: written, or of a run in memory; in all formats that people read, or for other tools."""

import itertools
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from steelyard import plugins
from steelyard.artifact import receipt
from steelyard.core.errors import UsageError
from steelyard.core.reason import reason_of
from steelyard.core.run import Run
from steelyard.core.visible import visible
from steelyard.render.drawing import pictures
from steelyard.render.output import Report, ReportInputs, details, kind, save
from steelyard.render.venue import look_of, room_of
from steelyard.service.report_files import formats_of, report_named, write_all
from steelyard.service.traced_runs import viewed
from steelyard.store import open_run, uncollected
from steelyard.tables.build import lay_out
from steelyard.tables.case_details import cases
from steelyard.tables.cases import Cases
from steelyard.tables.facts import gather
from steelyard.tables.going_on import how_to_go_on
from steelyard.tables.imported import imported_tables
from steelyard.tables.records import records
from steelyard.tables.words import what_it_says
from steelyard.tracing.figures import FIGURES
from steelyard.tracing.report import build_traced

FOLDER = "report"
"""Where a report lies inside its run, unless told otherwise."""


def found(path: Path) -> Iterator[str]:
    """What a run that has just been stored says of its headline, and how to go on, in lines. Whatever is wrong with it
    is told: it is no reason to end a run as if it had failed."""
    try:
        run = open_run(path)
        told: Iterable[str]
        if run.traced:
            told = itertools.chain(build_traced(run).headline, viewed(run, path))
        else:
            facts = gather(run)
            told = (what_it_says(facts), how_to_go_on(facts))
        yield from (visible(text, lines=True) for text in told if text)
    except Exception as error:  # noqa: BLE001 (as of a report)
        yield f"what it found cannot be told: {reason_of(error)}"


def reported(path: Path, venue: str = "") -> Iterator[str]:
    """Write the report of a run that has just been stored, and tell it in lines. It may fail; the run stays whole."""
    try:
        yield from write_report(path, venue=venue)
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
    formats_of(formats)  # a wrong name is told before a long run is read
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
    asked = {report_named(name).name: name for name in formats_of(formats)}  # as spelled, for `bench verify`
    batch = receipt.Batch(
        formats=tuple(asked[name] for name in written.formats),
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
    names = formats_of(formats)
    chosen = [report_named(name) for name in names]
    if earlier and (others := [entry.name for entry in chosen if kind(entry) != "export"]):
        raise UsageError(f"several runs are a history, which {', '.join(others)} cannot hold; name one run")
    if beside and not any(kind(entry) == "tables" for entry in chosen):
        raise UsageError(f"--with prints tables, and {', '.join(names)} has none; choose another --format as well")
    tables = imported_tables(beside)
    exported = [entry.name for entry in chosen if kind(entry) == "export"]
    if exported and (traced := [each.manifest.run_id for each in (*earlier, run) if each.traced]):
        raise UsageError(f"{traced[0]} is a traced run, and {', '.join(exported)} holds what was timed")
    facts = None if run.traced else gather(run)
    data = build_traced(run) if facts is None else lay_out(facts)
    data = replace(data, tables=(*data.tables, *tables))
    figures = FIGURES if facts is None else plugins.figures().values()
    history = [gather(item) for item in earlier]
    draws = any(entry.draws for entry in chosen)
    if venue and not draws:
        raise UsageError(f"--venue is about figures, and {', '.join(names)} has none; choose another --format as well")
    inputs = ReportInputs(
        data=data,
        pictures=pictures(figures, data, look_of(venue), saved=saved) if draws else (),
        figures_beside="figures" in names,
        room=room_of(venue),
        records=tuple(map(records, (*history, facts))) if exported and facts is not None else (),
        cases=cases(facts) if any(details(entry) for entry in chosen) and facts is not None else Cases(),
        remark=_remark,
    )
    return inputs, chosen


def _remark(line: str) -> None:
    print(visible(line, lines=True), file=sys.stderr)
