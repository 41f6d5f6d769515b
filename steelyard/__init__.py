"""steelyard weighs AI compilers and runtimes on one beam: same work, same budget, verdicts with intervals."""

__version__ = "0.1.0"
