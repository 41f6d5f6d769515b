"""What goes into the lowering process and what comes out of it, as JSON files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from steelyard.core.errors import SuiteError
from steelyard.core.lowered import LoweredPoint
from steelyard.core.workload import Point

POOL = 8
"""Input sets of a point: enough that no runtime can live off one answer, few enough to store."""

ATTEMPT_POOL = 2
"""Input sets where only is asked whether a point completes: two, so that an output can be seen to follow its input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweringRequest:
    """Points to lower and the formats to make of each of their programs (`module` asks for weights only).

    `cache` is the cache's root; `weights_dir` the user's checkpoint or None. `progress` is an open
    descriptor to which a JSON line is written for every step, see `Progress`. `processes` is how many lower side by
    side: all but one of them make formats ahead of it. `at` is a file that names the step under way, and `died_of` the
    steps of which earlier processes with the same request died, with how: they fail.
    """

    points: tuple[Point, ...]
    formats: tuple[str, ...]
    cache: str
    weights_dir: str | None = None
    device_kind: str = "cpu"
    pool: int = POOL
    progress: int | None = None
    processes: int = 1
    at: str | None = None
    died_of: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step done, of `total`; `step` names it as nothing else. `cached` means that nothing had to be made.

    Of several processes that lower side by side each tells the steps that it meets.
    """

    step: str
    total: int
    label: str
    cached: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweringFailure:
    """A point of which nothing can be measured. `error` is the class of the error, `reason` what is said of it."""

    point: str
    title: str
    error: str
    reason: str

    @property
    def by_suite(self) -> bool:
        """Whether the suite itself is wrong, and no backend."""
        return self.error == SuiteError.__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweringResponse:
    """Every point of the request, in one of the two."""

    points: tuple[LoweredPoint, ...]
    failures: tuple[LoweringFailure, ...] = ()
