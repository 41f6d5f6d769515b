"""What Slurm is given to run: an array with an element for each shard, and a job that joins what they measured."""

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard.core.errors import UsageError

ATTEMPTS = 10
"""So often an element that ran out of time is queued again, to go on with its shard."""
GRACE_S = 300
"""So long before its limit of time an element is asked to end, so that it publishes what it has measured; a quarter of
a limit that is shorter than four times that."""
# minutes[:seconds], hours:minutes:seconds, or days-hours[:minutes[:seconds]]
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a job asks for, in Slurm's words, each empty where Slurm's own default is wanted. `options` go to sbatch as
    they are; `setup` are lines of the shell before `bench`; `container` is an image for Apptainer, in which it runs."""

    gres: str = ""
    constraint: str = ""
    partition: str = ""
    time: str = ""
    options: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    container: str = ""


def array_script(numbers: Sequence[int], *, name: str, plan: Path, runs: Path, asked: Resources) -> str:
    """The script of the array. A node is an element's alone: others on it would be measured, too. Where its time ends
    (USR1) it publishes what it has and is queued again; cancelled (TERM) it publishes, too, and that is all. An element
    that lost its node is queued again by Slurm."""
    lines = [
        f"--job-name={name}",
        f"--array={','.join(map(str, numbers))}",
        "--nodes=1",
        "--ntasks=1",
        "--exclusive",
        *([f"--gres={asked.gres}"] if asked.gres else []),
        *([f"--constraint={asked.constraint}"] if asked.constraint else []),
        *([f"--time={asked.time}"] if asked.time else []),
        f"--signal=B:USR1@{grace_s(asked.time)}",
        "--requeue",
        *_common(asked, plan / "slurm" / "%a.log"),
    ]
    bench = _bench(asked, plan, runs)
    shard = f'{shlex.quote(str(plan))}/"$SLURM_ARRAY_TASK_ID".json'
    return (
        f"""{_head(lines, asked)}
again=no
child=
trap 'again=yes; kill -TERM $child' USR1
trap 'kill -TERM $child' TERM
{bench} run --shard {shard} --output {shlex.quote(str(runs))} --no-report &
child=$!
wait "$child"
code=$?
"""
        """while kill -0 "$child" 2>/dev/null; do # the signal ended the wait, and the run ends by itself
  wait "$child"
  code=$?
done
"""
        f"""if [ "$again" = yes ] && [ "$code" -eq 130 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {ATTEMPTS} ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""
    )


def grace_s(limit: str) -> int:
    """How many seconds before this limit an element is asked to end. Raises UsageError where it is no time of Slurm."""
    if limit.casefold() in ("", "unlimited", "infinite"):
        return GRACE_S
    match = _TIME.fullmatch(limit)
    if match is None:
        raise UsageError(f"--time '{limit}' is no time of Slurm: write minutes, hours:minutes:seconds or days-hours")
    days, first, second, third = (None if part is None else int(part) for part in match.groups())
    if days is not None:
        seconds = 86400 * days + 3600 * (first or 0) + 60 * (second or 0) + (third or 0)
    elif third is not None:
        seconds = 3600 * (first or 0) + 60 * (second or 0) + third
    else:
        seconds = 60 * (first or 0) + (second or 0)
    return min(GRACE_S, seconds // 4)


def gather_script(after: str, *, name: str, plan: Path, runs: Path, asked: Resources) -> str:
    """The script of the job that joins, once every element of the array `after` has ended, whatever became of it."""
    lines = [f"--job-name={name}", "--ntasks=1", f"--dependency=afterany:{after}"]
    lines += _common(asked, plan / "slurm" / "gather.log")
    place = shlex.quote(str(runs))
    bench = _bench(asked, plan, runs)
    return (
        f"{_head(lines, asked)}\n{bench} fleet gather {shlex.quote(str(plan))} --from {place} --runs {place} --report\n"
    )


def _common(asked: Resources, log: Path) -> list[str]:
    text = str(log)
    if any(letter.isspace() or letter == "\\" for letter in text):
        raise UsageError(f"{log.parent.parent}: Slurm takes no blanks in the name of a log; plan into another folder")
    partition = [f"--partition={asked.partition}"] if asked.partition else []
    return [*partition, f"--output={text}", "--open-mode=append", *asked.options]


def _head(options: Sequence[str], asked: Resources) -> str:
    if wrong := next((option for option in options if "\n" in option or not option.startswith("-")), ""):
        raise UsageError(f"'{wrong}' is no option of sbatch: write --name=value")
    directives = "\n".join(f"#SBATCH {option}" for option in options)
    return "\n".join(["#!/bin/bash", directives, "set -u", *asked.setup])


def _bench(asked: Resources, plan: Path, runs: Path) -> str:
    if not asked.container:
        return shlex.join([sys.executable, "-m", "steelyard"])
    binds = [part for folder in (plan, runs) for part in ("--bind", str(folder))]
    return shlex.join(["apptainer", "exec", "--nv", *binds, asked.container, "bench"])
