"""Which stored runs are held against each other."""

from collections.abc import Sequence

from steelyard.analysis import compare_run, compare_runs
from steelyard.core.comparison import Comparison
from steelyard.core.errors import UsageError
from steelyard.core.run import Run


def comparisons(sides: Sequence[Sequence[Run]], factor: str | None = None) -> tuple[tuple[Comparison, ...], ...]:
    """Within the run if there is one alone, otherwise each further side against the first, apart from the others."""
    if traced := [run.manifest.run_id for side in sides for run in side if run.traced]:
        raise UsageError(f"{', '.join(traced)}: a traced run, of which nothing was timed; see bench profile diff")
    if len(sides) == 1 and len(sides[0]) == 1:
        return (compare_run(sides[0][0]),)
    if len(sides) == 1:
        raise UsageError("bench compare: several runs of one side need another side to be compared with")
    return tuple(compare_runs(sides[0], side, factor) for side in sides[1:])
