"""Stored runs as tidy pandas frames. Units are in the names: `_s` seconds, `_bytes`, `_j` joules."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from steelyard.analysis import launch_cuts, launch_medians
from steelyard.core.comparison import Comparison, Estimate
from steelyard.core.result import Result
from steelyard.core.run import Run
from steelyard.core.turn_rule import first_calls
from steelyard.core.workload import Point
from steelyard.measure.driver import metrics_of

if TYPE_CHECKING:
    from pandas import DataFrame


def samples_frame(run: Run) -> "DataFrame":
    """A row for each sample: what it is of, `index` in its window, `start_s` after the window began, `value` in the
    metric's unit, and `steady`: whether estimates count it (of a launch that ended well in a round that counts, after
    the warm-up, and no first call of a turn)."""
    import numpy as np
    import pandas as pd

    points, cuts = _points(run), launch_cuts(run)
    parts = []
    for result in run.results:
        for measured in result.measurements:
            count = len(measured.samples)
            cut = cuts.get((result.arm, points[result.case_id].key, measured.metric, result.place), count)
            steady = np.arange(count) >= cut
            steady[list(first_calls(measured.turns, count))] = False
            columns = {
                "metric": measured.metric,
                "layer": measured.layer,
                "index": np.arange(count),
                "start_s": np.asarray(measured.starts_s) if len(measured.starts_s) else np.full(count, np.nan),
                "value": np.asarray(measured.samples),
                "steady": steady,
            }
            parts.append(pd.DataFrame({**_about(run, result, points[result.case_id]), **columns}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def launches_frame(run: Run) -> "DataFrame":
    """A row for each case of each launch: status, the phases before the window, the median of each timed metric over
    its steady samples (rounds that count only), peaks of memory by phase, joules of a call."""
    import pandas as pd

    points, medians = _points(run), launch_medians(run)
    rows = []
    for result in run.results:
        point = points[result.case_id]
        found = {metric: medians.get((result.arm, point.key, metric), {}) for metric in metrics_of(point)}
        timed = {metric: values[result.place] for metric, values in found.items() if result.place in values}
        memory = {name.replace("/", "_"): reading.value for name, reading in result.memory.items()}
        rows.append(
            {
                **_about(run, result, point),
                "position": result.position,
                "status": result.status,
                "stage": result.stage,
                "reason": result.reason,
                **result.phases,
                **timed,
                **memory,
                "energy_j": None if result.energy is None else result.energy.value,
            }
        )
    return pd.DataFrame(rows)


def comparisons_frame(found: Iterable[Comparison]) -> "DataFrame":
    """A row for each comparison. `speedup` is baseline / candidate, above 1 is faster, with the ends of its 95 %
    interval; `floor` and `margin` are fractions."""
    import pandas as pd

    plain = ("workload", "title", "metric", "baseline", "candidate", "verdict", "family", "scope", "factor")
    rest = ("p_value", "p_adjusted", "floor", "margin", "reason", "approximate")
    return pd.DataFrame(
        [
            {
                **{name: getattr(item, name) for name in plain},
                **_ends("speedup", item.speedup),
                **{name: getattr(item, name) for name in rest},
            }
            for item in found
        ]
    )


def _ends(name: str, estimate: Estimate | None) -> dict[str, Any]:
    interval = None if estimate is None else estimate.interval
    return {
        name: None if estimate is None else estimate.value,
        f"{name}_low": None if interval is None else interval.low,
        f"{name}_high": None if interval is None else interval.high,
        "n": None if estimate is None else estimate.n,
    }


def _points(run: Run) -> dict[str, Point]:
    return {case.id: case.point for case in run.manifest.cases}


def _about(run: Run, result: Result, point: Point) -> dict[str, Any]:
    """What a row is of. An axis that has the name of another column is left to the point's title."""
    own = {
        "run": run.manifest.run_id,
        "device": run.manifest.device.name,
        "backend": result.arm,
        "workload": point.workload,
        "point": point.title,
        "round": result.round,
        "group": result.group,
        "launch": result.launch,
    }
    return {**own, **{name: value for name, value in point.axes.items() if name not in own}}
