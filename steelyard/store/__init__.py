"""Runs on disk: raw samples in time order, append-only, published atomically, never edited."""

from steelyard.store.catalog import RunEntry, find_run, list_runs, new_run_id
from steelyard.store.privacy import scrub
from steelyard.store.reader import StoredRun, open_run, read_manifest, read_run
from steelyard.store.writer import RunWriter, create_run, prepare_root, resume

__all__ = [
    "RunEntry",
    "RunWriter",
    "StoredRun",
    "create_run",
    "find_run",
    "list_runs",
    "new_run_id",
    "open_run",
    "prepare_root",
    "read_manifest",
    "read_run",
    "resume",
    "scrub",
]
