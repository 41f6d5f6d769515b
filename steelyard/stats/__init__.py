"""Intervals, tests, multiplicity and planning: pure functions on arrays. Needs numpy only.

The unit of inference is the launch: what goes in here as one value is one launch's summary, or the
log ratio of two launches of one round. Nothing here pools iterations.
"""
