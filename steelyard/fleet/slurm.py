"""Shards given to Slurm, and what became of each: told by the stored runs first, then by the scheduler.

Works without Slurm's accounting: nothing is asked but sbatch, squeue and scancel.
"""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard import wire
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.core.shard import Shard
from steelyard.fleet.scripts import Resources, array_script, gather_script
from steelyard.lowering.locks import locked
from steelyard.service.sharding import measured
from steelyard.tables.format import counted

JOBS = "jobs.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """The jobs that a plan was given to Slurm as, oldest first: arrays and the jobs that join."""

    arrays: tuple[str, ...] = ()
    gathering: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How it stands with a shard: `measured`, `running`, `waiting`, `cut off` or `not measured`; `told` says more."""

    shard: Shard
    state: str
    told: str = ""


def scripts(shards: Sequence[Shard], plan: Path, runs: Path, asked: Resources) -> tuple[str, str]:
    """The two scripts for the shards of a plan that nobody has measured whole. Raises UsageError where all are."""
    parts = measured(runs)
    whole = {place for place, part in parts.items() if part.whole}
    numbers = [shard.place.number for shard in shards if shard.place not in whole]
    if not numbers:
        raise UsageError(f"every shard of {plan} is measured; bench fleet gather {plan} joins them")
    name = f"steelyard-{shards[0].place.plan}"
    where = {"plan": plan.absolute(), "runs": runs.absolute(), "asked": asked}
    return (
        array_script(numbers, name=name, **where),  # type: ignore[arg-type]
        gather_script("ARRAY", name=f"{name}-gather", **where),  # type: ignore[arg-type]
    )


def submit(shards: Sequence[Shard], plan: Path, runs: Path, asked: Resources) -> Jobs:
    """Submit them: an array, and the job that joins what it measured. Raises UsageError while an earlier array of the
    plan has elements left: two would measure a shard at once."""
    folder = plan / "slurm"
    folder.mkdir(exist_ok=True)
    with locked(folder / ".lock"):
        if left := [state for state in _queued(plan) if state[1] not in ("COMPLETING",)]:
            raise UsageError(
                f"{plan}: {counted(len(left), 'element')} of an earlier submission still queued or running: "
                f"bench fleet cancel {plan} ends them"
            )
        array, gather = scripts(shards, plan, runs, asked)
        runs.mkdir(parents=True, exist_ok=True)
        before = jobs_of(plan)
        first = _sbatch(folder / "array.sh", array)
        # Known at once, so that whatever becomes of the other job, status and cancel see it.
        wire.write(folder / JOBS, replace(before, arrays=(*before.arrays, first)))
        try:
            second = _sbatch(folder / "gather.sh", gather.replace("afterany:ARRAY", f"afterany:{first}"))
        except SteelyardError:
            _slurm("scancel", first)
            raise
        jobs = Jobs(arrays=(*before.arrays, first), gathering=(*before.gathering, second))
        wire.write(folder / JOBS, jobs)
    return jobs


def jobs_of(plan: Path) -> Jobs:
    """The jobs of a plan, none where it was never submitted."""
    file = plan / "slurm" / JOBS
    return wire.read(file, Jobs) if file.is_file() else Jobs()


def standings(shards: Sequence[Shard], plan: Path, runs: Path) -> tuple[Standing, ...]:
    """How it stands with each shard."""
    queued = {number: (state, told) for number, state, told in _queued(plan)}
    parts = measured(runs)
    found = []
    for shard in shards:
        part = parts.get(shard.place)
        told = "" if part is None else part.run_id
        state = "not measured" if part is None else "measured" if part.whole else "cut off"
        if state != "measured" and shard.place.number in queued:
            name, told = queued[shard.place.number]
            state = "waiting" if name == "PENDING" else name.lower()
        elif state == "not measured" and jobs_of(plan).arrays:
            told = f"see {plan / 'slurm' / f'{shard.place.number}.log'}"
        found.append(Standing(shard=shard, state=state, told=told))
    return tuple(found)


def cancel(plan: Path) -> Jobs:
    """Cancel all jobs of a plan. What was measured stays."""
    jobs = jobs_of(plan)
    if jobs.arrays:
        _slurm("scancel", *jobs.arrays, *jobs.gathering)
    return jobs


def _queued(plan: Path) -> list[tuple[int, str, str]]:
    """The elements of the plan's arrays that Slurm has not done with: number, state, and where or why not."""
    arrays = jobs_of(plan).arrays
    if not arrays:
        return []
    listed = _slurm("squeue", "--noheader", "--array", "--format=%F|%K|%T|%N|%r")
    found = []
    for line in listed.splitlines():
        job, number, state, nodes, reason = (*line.strip().split("|", 4), "", "", "", "")[:5]
        if job in arrays and number.isdecimal():
            found.append((int(number), state, f"on {nodes}" if nodes else f"({reason})"))
    return found


def _sbatch(file: Path, script: str) -> str:
    """Submit a script; returns the number of the job."""
    file.write_text(script)
    told = _slurm("sbatch", "--parsable", str(file)).strip().split(";")[0]
    if not re.fullmatch(r"\d+", told):
        raise SteelyardError(f"sbatch did not answer with the number of a job, but: {told[:200]}")
    return told


def _slurm(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=dict(os.environ)
        )
    except OSError as error:
        raise SteelyardError(
            f"{command[0]}: {error.strerror}: is Slurm installed here? Without it, run the shards by hand: bench run "
            "--shard FILE"
        ) from error
    if done.returncode:
        raise SteelyardError(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
