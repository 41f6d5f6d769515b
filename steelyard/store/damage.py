"""What is wrong with a stored run, as data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something wrong with `file`, a path within the run's folder; `problem` is one sentence without the path."""

    file: str
    problem: str
