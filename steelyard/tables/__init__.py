"""Comparisons and results as rows, footnotes and captions."""
