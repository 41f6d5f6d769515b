"""A report rendered into memory, so that its files can be compared or packed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steelyard.artifact.receipt import Batch
    from steelyard.artifact.report import Render
    from steelyard.core.run import Run


def renderer(runs: Path, beside: Sequence[Path] = ()) -> "Render":
    """What renders a batch: earlier runs of a history are looked up below `runs`, files of other tools in `beside`."""
    from steelyard.artifact.report import files_of
    from steelyard.cli.report import inputs_of
    from steelyard.core.errors import SteelyardError
    from steelyard.core.hashing import file_sha256
    from steelyard.store import find_run, open_run

    given = {file_sha256(path): path for path in beside}

    def render(run: "Run", batch: "Batch") -> Mapping[str, Mapping[str, bytes]]:
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
            earlier=[open_run(find_run(runs, name)) for name in batch.earlier],
            venue=batch.venue,
        )
        inputs = replace(inputs, figures_beside=batch.figures_beside, remark=lambda _: None)
        made: dict[str, Mapping[str, bytes]] = {}
        for entry in chosen:
            with TemporaryDirectory(prefix="steelyard-report-") as directory:
                entry.write(inputs, Path(directory))
                made[entry.name] = {name: path.read_bytes() for name, path in files_of(Path(directory)).items()}
        return made

    return render
