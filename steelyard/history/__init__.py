"""Runs of the same cases night after night: a series for each case, where its level moved, and whether that is sure.

`nights` makes one record of each case of a run, `record` keeps them in a file, `changes` finds where levels moved.
"""
