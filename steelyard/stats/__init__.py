"""Intervals, tests and multiplicity: pure functions on arrays."""
