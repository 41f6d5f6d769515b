"""The tool held against itself: what is known beforehand must be what it finds."""
