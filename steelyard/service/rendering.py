"""A report rendered into memory, so that its files can be compared or packed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from steelyard import plugins
from steelyard.across.report import build_across
from steelyard.artifact.receipt import Across, Batch
from steelyard.artifact.report_check import Render, files_of
from steelyard.core.errors import SteelyardError
from steelyard.core.hashing import file_sha256
from steelyard.core.reason import reason_of
from steelyard.core.run import Run
from steelyard.guard.scratch import scratch
from steelyard.render.output import Report, ReportInputs
from steelyard.service.comparing import comparisons
from steelyard.service.reporting import inputs_of
from steelyard.store import open_run, run_of_id


def renderer(runs: Path, beside: Sequence[Path] = (), *, saved: bool = True) -> Render:
    """What renders a batch: earlier runs of a history are looked up below `runs`, files of other tools in `beside`.

    `saved` says whether pictures are made or only their numbers and captions.
    """
    given = {file_sha256(path): path for path in beside}

    def render(run: Run, batch: Batch) -> Mapping[str, Mapping[str, bytes]]:
        missing = [entry.name for entry in batch.beside if entry.sha256 not in given]
        if missing:
            raise SteelyardError(
                f"{', '.join(missing)}: results of another tool, printed as they were and no part of the run; "
                "give the same file with --with"
            )
        inputs, chosen = inputs_of(
            run,
            batch.formats,
            beside=[given[entry.sha256] for entry in batch.beside],
            earlier=[open_run(run_of_id(runs, name)) for name in batch.earlier],
            venue=batch.venue,
            saved=saved,
        )
        if failed := [f"figure {picture.name}: {picture.reason}" for picture in inputs.pictures if picture.failed]:
            raise SteelyardError("; ".join(failed))
        inputs = replace(inputs, figures_beside=batch.figures_beside, remark=lambda _: None)
        return _written(chosen, inputs)

    return render


def render_across(sides: Sequence[Sequence[Run]], across: Across, batch: Batch) -> Mapping[str, Mapping[str, bytes]]:
    """Renders a batch of a report of several runs."""
    data = build_across(sides, comparisons(sides, across.factor or None), across.prices)
    return _written([plugins.reports()[name] for name in batch.formats], ReportInputs(data=data))


def _written(chosen: Sequence[Report], inputs: ReportInputs) -> Mapping[str, Mapping[str, bytes]]:
    made: dict[str, Mapping[str, bytes]] = {}
    for entry in chosen:
        with scratch() as directory:
            try:
                entry.write(inputs, directory)
            except Exception as error:  # a report may be of another package
                raise SteelyardError(f"{entry.name}: {reason_of(error)}") from error
            made[entry.name] = {name: path.read_bytes() for name, path in files_of(directory).items()}
    return made
