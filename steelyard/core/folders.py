"""Where things lie unless told otherwise."""

from pathlib import Path

RUNS = Path("bench-results")
"""Runs, below the folder in which `bench` is called."""

TRACES = "traces"
"""What the launches of a traced run recorded, inside its folder."""
