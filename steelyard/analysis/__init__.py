"""Pairs, factors, verdicts: from stored samples to comparisons and summaries. Everything is recomputed from samples."""

from steelyard.analysis.across import compare_runs
from steelyard.analysis.break_even import BreakEven, break_even
from steelyard.analysis.left_out import contaminated_warm, set_aside, stolen
from steelyard.analysis.overall import Overall, overall
from steelyard.analysis.pairs import count_pairs, other_pairs, turned
from steelyard.analysis.pilot import DetectableEffect, control_spreads, pilot, widest_half_width
from steelyard.analysis.summary import Summary, launch_cuts, launch_medians, summaries
from steelyard.analysis.unfinished import Unfinished, unfinished
from steelyard.analysis.within import compare_run

__all__ = [
    "BreakEven",
    "DetectableEffect",
    "Overall",
    "Summary",
    "Unfinished",
    "break_even",
    "compare_run",
    "compare_runs",
    "contaminated_warm",
    "control_spreads",
    "count_pairs",
    "launch_cuts",
    "launch_medians",
    "other_pairs",
    "overall",
    "pilot",
    "set_aside",
    "stolen",
    "summaries",
    "turned",
    "unfinished",
    "widest_half_width",
]
