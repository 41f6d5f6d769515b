"""A stored run held against its hashes, its schema, itself, and the digests that were given out with it."""

from collections.abc import Iterator
from pathlib import Path

from steelyard.artifact import sums
from steelyard.artifact.consistency import inspect_run
from steelyard.artifact.finding import Finding, Kind
from steelyard.artifact.noise import inspect_noise
from steelyard.core.errors import UsageError
from steelyard.core.run import Run
from steelyard.store import check_run, read_run, strangers
from steelyard.tables.facts import gather

SHORTEST_DIGEST = 12
"""Hex digits of a digest that are enough to name a run: what fits on a printed line."""


def check_stored(path: Path, digest: str | None = None) -> tuple[Run | None, tuple[Finding, ...]]:
    """The run if it can be read at all, and everything that was found.

    `digest` is what a paper or a page says of the run: a run digest or its beginning. Raises UsageError for one that
    is too short to say anything.
    """
    if digest is not None and len(digest) < SHORTEST_DIGEST:
        raise UsageError(f"--digest {digest}: at least {SHORTEST_DIGEST} hex digits are needed to tell runs apart")
    damaged = check_run(path)
    found = [Finding(kind="wrong", where=item.file, text=item.problem) for item in damaged]
    found += _given_out(path)
    if damaged:
        return None, tuple(found)
    stored = read_run(path)
    found += [Finding(kind="note", where="run", text=note) for note in stored.notes]
    found += [Finding(kind="note", where=name, text="no file of the run, ignored") for name in strangers(path)]
    found.append(Finding(kind="holds", where="run", text="every file has its hash and its schema"))
    found += inspect_run(stored.run)
    found += inspect_noise(stored.run)
    found += _digest(stored.run, digest)
    facts = gather(stored.run)
    text = f"{len(facts.summaries)} medians and {len(facts.comparisons)} comparisons can be computed from the samples"
    found.append(Finding(kind="holds", where="run", text=text))
    return stored.run, tuple(found)


def _digest(run: Run, wanted: str | None) -> Iterator[Finding]:
    if run.digest is None:
        kind: Kind = "note" if wanted is None else "untraced"
        text = "it has no digest yet: a segment is not published; bench run --resume publishes it"
        yield Finding(kind=kind, where="run", text=text)
    elif wanted is not None and not run.digest.startswith(wanted.lower()):
        text = f"its digest is {run.digest[: len(wanted)]}…, not {wanted}: this is not the run that was meant"
        yield Finding(kind="wrong", where="run", text=text)
    elif wanted is not None:
        yield Finding(kind="holds", where="run", text="its digest is the one that was given")


def _given_out(path: Path) -> Iterator[Finding]:
    """Against SHA256SUMS in the folder that holds the run, where it names the run."""
    beside = path.resolve().parent / sums.NAME
    if not beside.is_file():
        return
    prefix = f"{path.resolve().name}/"
    digests = {name: digest for name, digest in sums.read_sums(beside).items() if name.startswith(prefix)}
    if digests:
        files = {prefix + name: file for name, file in sums.run_files(path).items()}
        yield from sums.held_against(digests, files, sums.NAME)
