"""A module that fails when it is imported."""

HALF = 1 / 0
