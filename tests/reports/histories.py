"""A history of runs in which one backend gets slower at a known run."""

import dataclasses

from steelyard.tables.facts import gather
from steelyard.tables.records import Records, records
from tests.fakes.runs import llm_points, synthetic_run


def history(count: int = 24, step: int = 12, by: float = 1.3) -> list[Records]:
    """Nightly runs of `eager` and `xla` on decode; from run number `step` on, `xla` takes `by` times as long."""
    found = []
    for number in range(count):
        run = synthetic_run(
            seed=number,
            rounds=3,
            backends=("eager", "xla"),
            points=llm_points(("decode",)),
            headline="decode",
            effect={"xla": 0.5 * (by if number >= step else 1.0)},
        )
        manifest = dataclasses.replace(run.manifest, created_utc=f"2026-01-{number + 1:02d}T00:00:00Z")
        found.append(records(gather(dataclasses.replace(run, manifest=manifest))))
    return found
