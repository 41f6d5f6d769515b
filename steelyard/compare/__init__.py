"""Pairs, factors, verdicts."""
