"""Pairs, factors, verdicts: from stored samples to comparisons and summaries. Everything is recomputed from samples."""

from steelyard.compare.across import compare_runs
from steelyard.compare.break_even import BreakEven, break_even
from steelyard.compare.overall import Overall, overall
from steelyard.compare.pairs import count_pairs, other_pairs, turned
from steelyard.compare.pilot import Outlook, control_spreads, pilot, widest_half_width
from steelyard.compare.sides import disturbed_warm, set_aside
from steelyard.compare.summary import Summary, launch_medians, summaries
from steelyard.compare.unfinished import Unfinished, unfinished
from steelyard.compare.within import compare_run

__all__ = [
    "BreakEven",
    "Outlook",
    "Overall",
    "Summary",
    "Unfinished",
    "break_even",
    "compare_run",
    "compare_runs",
    "control_spreads",
    "count_pairs",
    "disturbed_warm",
    "launch_medians",
    "other_pairs",
    "overall",
    "pilot",
    "set_aside",
    "summaries",
    "turned",
    "unfinished",
    "widest_half_width",
]
