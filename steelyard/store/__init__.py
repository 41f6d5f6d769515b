"""Runs on disk: raw samples in time order, append-only, published atomically, never edited."""

from steelyard.store.catalog import (
    RunEntry,
    copies,
    find_run,
    is_of,
    list_runs,
    new_run_id,
    run_folders,
    run_of_id,
    runs_once,
)
from steelyard.store.check import check_run
from steelyard.store.damage import Damage
from steelyard.store.files import RunLock
from steelyard.store.lines import uncollected
from steelyard.store.merge import Merged, merge
from steelyard.store.privacy import scrub
from steelyard.store.quarantine import last_round, set_aside
from steelyard.store.query import QueryResult, query
from steelyard.store.reader import StoredRun, drivers_of, open_run, read_manifest, read_run
from steelyard.store.segments import ends as segment_ends
from steelyard.store.strangers import left_behind, strangers
from steelyard.store.writer import RunWriter, create_run, prepare_root, resume

__all__ = [
    "Damage",
    "Merged",
    "QueryResult",
    "RunEntry",
    "RunLock",
    "RunWriter",
    "StoredRun",
    "check_run",
    "copies",
    "create_run",
    "drivers_of",
    "find_run",
    "is_of",
    "last_round",
    "left_behind",
    "list_runs",
    "merge",
    "new_run_id",
    "open_run",
    "prepare_root",
    "query",
    "read_manifest",
    "read_run",
    "resume",
    "run_folders",
    "run_of_id",
    "runs_once",
    "scrub",
    "segment_ends",
    "set_aside",
    "strangers",
    "uncollected",
]
