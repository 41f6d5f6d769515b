"""Turns comparisons and summaries into rows, footnotes and captions as data; reports only print them."""
