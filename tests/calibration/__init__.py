"""`make calibrate`: how often the verdicts are wrong, measured on this machine and by simulation.

Each stage writes one JSON file of counts under docs/calibration; `page` turns these files, and nothing
else, into docs/calibration.md.
"""
