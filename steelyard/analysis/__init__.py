"""Pairs, factors, verdicts: from stored samples to comparisons and summaries. Everything is recomputed from samples."""

from steelyard.analysis.across import compare_runs
from steelyard.analysis.break_even import BreakEven, break_even
from steelyard.analysis.overall import Overall, overall
from steelyard.analysis.pairs import count_pairs, other_pairs, turned
from steelyard.analysis.pilot import Outlook, control_spreads, pilot, widest_half_width
from steelyard.analysis.sides import disturbed_warm, set_aside
from steelyard.analysis.summary import Summary, launch_medians, summaries
from steelyard.analysis.unfinished import Unfinished, unfinished
from steelyard.analysis.within import compare_run

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
