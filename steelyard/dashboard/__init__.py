"""A static site of a history: levels, changes, machines and coverage, for any web server or a folder on a disk."""
