"""Runs on disk: append, publish, read."""
