"""A run packed as one archive, with its report, its pins and a page for evaluators."""

from collections.abc import Sequence
from pathlib import Path

from steelyard import plugins
from steelyard.artifact.anonymous import refuse_names
from steelyard.artifact.archive import SUFFIXES, pack
from steelyard.artifact.bundle import contents
from steelyard.artifact.finding import FAILING
from steelyard.artifact.receipt import NAME, Batch, receipt_text, with_batch
from steelyard.artifact.stored import check_stored
from steelyard.core.errors import StoreError, UsageError
from steelyard.core.folders import RUNS
from steelyard.render.output import kind
from steelyard.service.rendering import renderer


def write_bundle(
    path: Path,
    output: Path | None = None,
    *,
    anonymous: bool = True,
    runs: Path = RUNS,
    formats: Sequence[str] | None = None,
) -> Path:
    """Verify the run stored at `path`, render its report (in all formats that people read), and pack both.

    Returns the archive's path. Raises StoreError for a run that does not hold or names its author, UsageError for a
    name that is no archive's.
    """
    if output is not None and not output.name.endswith(SUFFIXES):
        raise UsageError(f"--output {output}: name an archive that ends with {' or '.join(SUFFIXES)}")
    run, found = check_stored(path)
    failing = [finding for finding in found if finding.kind in FAILING]
    if run is None or failing:
        first = f"{failing[0].where}: {failing[0].text}" if failing else "it cannot be read"
        raise StoreError(f"{path}: not packed, as it does not hold: {first}; bench verify names everything")
    if formats is None:
        formats = [name for name, entry in plugins.reports().items() if kind(entry) != "export"]
    batch = Batch(formats=tuple(formats), figures_beside="figures" in formats)
    report = {name: data for files in renderer(runs)(run, batch).values() for name, data in files.items()}
    report[NAME] = receipt_text(with_batch(None, run.manifest.run_id, run.digest, batch)).encode()
    files = contents(run, path, report)
    if anonymous:
        refuse_names(files)
    target = output if output is not None else Path(f"{run.manifest.run_id}{SUFFIXES[0]}")
    pack({f"{run.manifest.run_id}/{name}": content for name, content in files.items()}, target)
    return target
