"""The samples of a segment: a zstd Parquet file in long format, one row per sample in time order.

Columns: launch, case_id, arm, round, metric, layer, index, start_s [s], value [the metric's base unit].
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import StoreError
from steelyard.core.result import Result
from steelyard.store import codec

if TYPE_CHECKING:
    import numpy as np

NAME = "samples.parquet"
_ROWS_PER_GROUP = 1 << 18


class SampleWriter:
    """Streams samples into a Parquet file; holds at most one row group in memory."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        text = pa.string()
        self._schema = pa.schema(
            [
                ("launch", text),
                ("case_id", text),
                ("arm", text),
                ("round", pa.int32()),
                ("metric", text),
                ("layer", text),
                ("index", pa.int32()),
                ("start_s", pa.float64()),
                ("value", pa.float64()),
            ]
        )
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._pending: list[Any] = []
        self._rows = 0

    def add(self, keys: dict[str, Any], values: Sequence[float], starts_s: Sequence[float]) -> None:
        """All samples of one measurement; `starts_s` is empty or as long as `values`."""
        import numpy as np
        import pyarrow as pa

        count = len(values)
        columns = {name: pa.repeat(pa.scalar(keys[name], self._schema.field(name).type), count) for name in keys}
        columns["index"] = pa.array(np.arange(count, dtype=np.int32))
        columns["value"] = pa.array(values, type=pa.float64())
        columns["start_s"] = pa.array(starts_s, type=pa.float64()) if starts_s else pa.nulls(count, pa.float64())
        self._pending.append(pa.table({name: columns[name] for name in self._schema.names}, schema=self._schema))
        self._rows += count
        if self._rows >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._pending:
            self._writer.write_table(pa.concat_tables(self._pending).combine_chunks())
        self._pending, self._rows = [], 0

    def __enter__(self) -> "SampleWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if error is None:
                self._flush()
        finally:
            self._writer.close()


class SampleReader:
    """Gives the samples back in the order they were added."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path, columns=["index", "start_s", "value"])
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{path}: not a readable Parquet file of samples: {error}") from error
        self._path = path
        self._index: np.ndarray[Any, Any] = table["index"].to_numpy()
        self._values: np.ndarray[Any, Any] = table["value"].to_numpy()
        self._starts: np.ndarray[Any, Any] = table["start_s"].to_numpy()
        self._at = 0

    def take(self, count: int, starts: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The next `count` values and their `starts` (as many, or 0). Raises StoreError if they are not there."""
        import numpy as np

        part = slice(self._at, self._at + count)
        if not np.array_equal(self._index[part], np.arange(count)):
            raise StoreError(f"{self._path}: row {self._at}: the samples do not match results.jsonl")
        self._at += count
        return tuple(self._values[part].tolist()), tuple(self._starts[part].tolist()) if starts else ()

    def end(self) -> None:
        """Raises StoreError if samples are left over."""
        if self._at != len(self._index):
            raise StoreError(f"{self._path}: {len(self._index) - self._at} samples belong to no result")


def split(result: Result, writer: SampleWriter) -> dict[str, Any]:
    """Hand the samples of a result to `writer`; returns its JSON values with the counts in their place."""
    bare = [replace(entry, samples=(), starts_s=()) for entry in result.measurements]
    value: dict[str, Any] = codec.to_plain(replace(result, measurements=tuple(bare)))
    keys = {name: value[name] for name in ("launch", "case_id", "arm", "round")}
    for entry, plain in zip(result.measurements, value["measurements"], strict=True):
        writer.add({**keys, "metric": entry.metric, "layer": entry.layer}, entry.samples, entry.starts_s)
        plain["samples"], plain["starts_s"] = len(entry.samples), len(entry.starts_s)
    return value


def join(result: dict[str, Any], reader: SampleReader, where: str) -> None:
    """Put the samples back into a result's JSON values. The inverse of `split`."""
    for entry in result.get("measurements", ()):
        counts = entry.get("samples"), entry.get("starts_s")
        if not all(isinstance(count, int) and count >= 0 for count in counts) or counts[1] not in (0, counts[0]):
            raise StoreError(f"{where}: a measurement without a valid number of samples")
        entry["samples"], entry["starts_s"] = reader.take(*counts)
