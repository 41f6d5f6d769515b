"""`python -m tests.fuzz [--minutes 10] [--seed 0]`: damaged files one after the other until the time is over.

Each file is read as `bench run --model` reads it, and each damaged run as `bench show` does. What may come out is a
program, a run, or an error of this project. Exit code 1 for anything else, with the file kept beside the log.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.core.errors import SteelyardError
from steelyard.lowering.foreign import program_of
from steelyard.store import open_run
from tests.fuzz.damage import WAYS, Damage
from tests.fuzz.samples import write_samples

TIMEOUT_S = 120.0
_RUN = Path("results/published/20261130T042356Z-llm-1421f5")


class WrittenOutsideError(Exception):
    """Something was written where nothing belongs."""


def main() -> int:
    """Damage and read until the time is over, then say how often which outcome came."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    source = random.Random(asked.seed)
    end = time.monotonic() + 60 * asked.minutes
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = write_samples(folder)
        for kind, path in whole.items():
            program_of(kind, path, {})  # a sample that nothing can read would hide everything
        index = 0
        while time.monotonic() < end:
            index += 1
            way = source.choice(WAYS)
            kind = source.choice([*whole, "run"])
            try:
                with nothing_written():
                    outcome = _run(folder, way, source) if kind == "run" else _file(kind, whole[kind], way, source)
            except Exception:  # noqa: BLE001 (what is looked for)
                traceback.print_exc()
                shutil.copytree(folder, kept := Path(tempfile.mkdtemp(prefix="fuzz-")), dirs_exist_ok=True)
                print(f"case {index}: {kind}, {way.__name__}, seed {asked.seed}; kept in {kept}", file=sys.stderr)
                return 1
            outcomes[f"{kind}: {outcome}"] += 1
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:5d}  {outcome}")
    return 0


def _file(kind: str, whole: Path, way: Damage, source: random.Random) -> str:
    data = whole.read_bytes()
    damaged = whole.with_name(f"damaged{whole.suffix}")
    damaged.write_bytes(way(data, source))
    if (beside := whole.with_suffix(".bin")).is_file():
        shutil.copyfile(beside, damaged.with_suffix(".bin"))
    try:
        program_of(kind, damaged, {}, timeout_s=TIMEOUT_S)
    except SteelyardError as error:
        return _told(error)
    return "read"


def _run(folder: Path, way: Damage, source: random.Random) -> str:
    shutil.rmtree(copy := folder / _RUN.name, ignore_errors=True)
    shutil.copytree(_RUN, copy)
    file = source.choice([path for path in sorted(copy.rglob("*")) if path.is_file()])
    file.write_bytes(way(file.read_bytes(), source))
    try:
        run = open_run(copy)
        _ = run.results
    except SteelyardError as error:
        return _told(error)
    return "read"


def _told(error: SteelyardError) -> str:
    if not str(error).strip():
        raise AssertionError(f"{type(error).__name__} without a word")
    return type(error).__name__


@contextmanager
def nothing_written() -> Iterator[None]:
    """Raises WrittenOutsideError if a file appears in the working directory or the home folder."""
    before = _watched()
    yield
    if new := sorted(map(str, _watched() - before)):
        raise WrittenOutsideError(f"written outside: {', '.join(new[:4])}")


def _watched() -> set[Path]:
    return {path for folder in (Path.cwd(), Path.home()) for path in folder.iterdir() if path.suffix != ".pyc"}


if __name__ == "__main__":
    sys.exit(main())
