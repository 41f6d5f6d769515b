"""SQL over every stored run, answered by DuckDB, which reaches the views of the runs and nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.errors import UsageError
from steelyard.store.views import COLUMNS, views

_LOCKED = (
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "allow_community_extensions = false",
    "python_enable_replacements = false",  # else a name in SQL may be a variable of this process
    "temp_directory = ''",
    "enable_external_access = false",
    "lock_configuration = true",  # last: none of it can be undone
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """What a query gave: column names, DuckDB's types, rows. `left_out` says which runs and segments were not read."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    left_out: tuple[str, ...]


def query(root: Path, sql: str) -> QueryResult:
    """Answer one statement that reads (SELECT, DESCRIBE, SUMMARIZE, EXPLAIN) over the runs under `root`.

    It reaches the views of `steelyard.store.views`; files, network, extensions and settings are closed to it. Raises
    UsageError for other statements and for SQL that is wrong, with what DuckDB says of it.
    """
    import duckdb

    if not root.is_dir():
        raise UsageError(f"{root}: there are no runs here; --runs names another place")
    database = duckdb.connect(":memory:")
    try:
        for setting in _LOCKED:
            database.execute(f"SET {setting}")
        found = views(root, _referenced(database, sql))
        for name, table in found.tables.items():
            database.register(name, table)
        described = database.execute(sql).description or []
        return QueryResult(
            columns=tuple(str(entry[0]) for entry in described),
            types=tuple(str(entry[1]) for entry in described),
            rows=tuple(database.fetchall()),
            left_out=tuple(found.left_out),
        )
    except duckdb.Error as error:
        hint = f"views: {', '.join(COLUMNS)}; their columns: bench store query 'DESCRIBE results'"
        raise UsageError(f"the query has no answer: {error}\n{hint}") from None
    finally:
        database.close()


def _referenced(database: Any, sql: str) -> set[str]:
    """The views that a statement names, all where that is not known. Raises UsageError for anything but one statement
    that reads."""
    import duckdb

    kinds = [str(statement.type).rpartition(".")[2] for statement in database.extract_statements(sql)]
    if len(kinds) != 1 or kinds[0] not in ("SELECT", "EXPLAIN"):
        told = ", ".join(kind.lower().replace("_", " ") for kind in kinds) or "nothing"
        raise UsageError(f"bench store query answers one SELECT; this is: {told}")
    if kinds[0] != "SELECT":
        return set(COLUMNS)
    try:  # before there are views, behind which DuckDB looks for tables
        names = {name.lower() for name in database.get_table_names(sql)}
    except duckdb.BinderException:  # which columns a join is by, say, is not known yet
        names = set()
    return names & set(COLUMNS) or set(COLUMNS)
