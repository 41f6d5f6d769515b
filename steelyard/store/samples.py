"""The samples of a segment: a zstd Parquet file in long format, one row per sample in time order.

Columns: launch, case_id, arm, round, metric, layer, index, start_s [s], value [the metric's base unit].
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

from steelyard.core.errors import StoreError
from steelyard.core.result import Result
from steelyard.store import codec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "samples.parquet"
KEYS = ("launch", "case_id", "arm", "round", "metric", "layer")
"""The columns that say which measurement a sample belongs to."""
_ROWS_PER_GROUP = 1 << 18


class Samples(Sequence[float]):
    """The numbers of one measurement: a read-only view into the column that was read, used like a tuple of floats.

    numpy takes it without a copy (`np.asarray`), slices are views as well, and Python floats are made only where
    something iterates.
    """

    __slots__ = ("_array",)

    def __init__(self, array: "NDArray[np.float64]") -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> "NDArray[Any]":
        import numpy as np

        return np.array(self._array, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return self._array.size

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> "Samples": ...
    def __getitem__(self, place: int | slice) -> "float | Samples":
        return Samples(self._array[place]) if isinstance(place, slice) else float(self._array[place])

    def __iter__(self) -> Iterator[float]:
        return iter(self.tolist())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and self.tolist() == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self.tolist()))

    def __repr__(self) -> str:
        return f"Samples({self.tolist()!r})"

    def tolist(self) -> list[float]:
        """Python floats, as JSON needs them."""
        return self._array.tolist()  # type: ignore[no-any-return]


class SampleWriter:
    """Streams samples into a Parquet file; holds at most one row group in memory."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._schema = arrow_schema()
        self._stream = path.open("wb")  # Arrow itself opens no path that is no text
        self._writer = pq.ParquetWriter(
            self._stream,
            self._schema,
            compression="zstd",
            use_dictionary=list(KEYS),  # times hardly repeat
            column_encoding={
                "index": "DELTA_BINARY_PACKED",
                **dict.fromkeys(("start_s", "value"), "BYTE_STREAM_SPLIT"),
            },
        )
        self._pending: list[tuple[dict[str, Any], Sequence[float], Sequence[float]]] = []
        self._rows = 0

    def add(self, keys: dict[str, Any], values: Sequence[float], starts_s: Sequence[float]) -> None:
        """All samples of one measurement under its KEYS; `starts_s` is empty or as long as `values`."""
        self._pending.append((keys, values, starts_s))
        self._rows += len(values)
        if self._rows >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        import numpy as np
        import pyarrow as pa

        counts = [len(values) for _, values, _ in self._pending]
        if self._rows:
            columns = {
                name: repeated([keys[name] for keys, _, _ in self._pending], counts, self._schema.field(name).type)
                for name in KEYS
            }
            columns["index"] = pa.array(np.concatenate([np.arange(count, dtype=np.int32) for count in counts]))
            columns["value"] = pa.array(np.concatenate([_floats(values) for _, values, _ in self._pending]))
            known = np.concatenate([np.full(len(values), len(starts) > 0) for _, values, starts in self._pending])
            starts = np.concatenate(
                [_floats(starts) if len(starts) else np.zeros(len(values)) for _, values, starts in self._pending]
            )
            columns["start_s"] = pa.array(starts, mask=~known)
            self._writer.write_table(pa.table([columns[name] for name in self._schema.names], schema=self._schema))
        self._pending, self._rows = [], 0

    def __enter__(self) -> "SampleWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if error is None:
                self._flush()
        finally:
            self._writer.close()
            self._stream.close()


class SampleReader:
    """Gives the samples back in the order they were added, as views into two columns."""

    def __init__(self, path: Path) -> None:
        table = read_columns(path, ("index", "start_s", "value"))
        self._path = path
        self._index = _column(table["index"])
        self._values = _column(table["value"])
        self._starts = _column(table["start_s"])
        self._none = Samples(self._starts[:0])
        self._ends = [0]

    def take(self, count: int, starts: int) -> tuple[Samples, Samples]:
        """The next `count` values and their `starts` (as many, or 0). Raises StoreError if there are fewer."""
        begin, end = self._ends[-1], self._ends[-1] + count
        if end > len(self._index):
            raise StoreError(f"{self._path}: row {begin}: the samples do not match results.jsonl")
        self._ends.append(end)
        return Samples(self._values[begin:end]), Samples(self._starts[begin:end]) if starts else self._none

    def end(self) -> None:
        """Raises StoreError if samples are left over, or are counted otherwise than they were taken."""
        import numpy as np

        ends = np.array(self._ends)
        if ends[-1] != len(self._index):
            raise StoreError(f"{self._path}: {len(self._index) - ends[-1]} samples belong to no result")
        expected = np.arange(ends[-1]) - np.repeat(ends[:-1], np.diff(ends))
        if len(wrong := np.flatnonzero(self._index != expected)):
            raise StoreError(f"{self._path}: row {wrong[0]}: the samples do not match results.jsonl")


def arrow_schema() -> Any:
    """The columns of the file with their Arrow types."""
    import pyarrow as pa

    text = pa.string()
    types = {**dict.fromkeys(KEYS, text), "round": pa.int32(), "index": pa.int32()}
    return pa.schema([*types.items(), ("start_s", pa.float64()), ("value", pa.float64())])


def read_columns(path: Path, names: Sequence[str], dictionaries: Sequence[str] = ()) -> Any:
    """Columns of the file as an Arrow table. Raises StoreError for one that is damaged or has other columns.

    It is read by this thread alone: a thread of Arrow that lets go of bytes of Python's while the interpreter ends
    aborts the process (apache/arrow#34314).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:  # not read_table, which imports pandas
        with (
            path.open("rb") as stream,
            pq.ParquetFile(stream, read_dictionary=list(dictionaries), pre_buffer=False) as file,
        ):
            table = file.read(columns=list(names), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: not a readable Parquet file of samples: {error}") from error
    for name in names:
        expected = arrow_schema().field(name).type
        found = table.schema.field(name).type if name in table.column_names else None
        if getattr(found, "value_type", found) != expected or (name != "start_s" and table[name].null_count):
            raise StoreError(f"{path}: not a Parquet file of samples: the column {name} holds no {expected}")
    return table


def repeated(values: Sequence[Any], counts: Sequence[int], kind: Any) -> Any:
    """An Arrow array of `kind` that holds each value as often as its count says."""
    import numpy as np
    import pyarrow as pa

    codes = {value: code for code, value in enumerate(dict.fromkeys(values))}
    places = np.repeat(np.fromiter((codes[value] for value in values), np.int32, len(values)), counts)
    return pa.array(list(codes), kind).take(pa.array(places))


def split(result: Result, writer: SampleWriter) -> dict[str, Any]:
    """Hand the samples of a result to `writer`; returns its JSON values with the counts in their place."""
    bare = [replace(entry, samples=(), starts_s=()) for entry in result.measurements]
    value: dict[str, Any] = codec.to_plain(replace(result, measurements=tuple(bare)))
    keys = {name: value[name] for name in ("launch", "case_id", "arm", "round")}
    for entry, plain in zip(result.measurements, value["measurements"], strict=True):
        writer.add({**keys, "metric": entry.metric, "layer": entry.layer}, entry.samples, entry.starts_s)
        plain["samples"], plain["starts_s"] = len(entry.samples), len(entry.starts_s)
    return value


def _floats(values: Iterable[float]) -> "NDArray[np.float64]":
    import numpy as np

    return np.asarray(values, dtype=np.float64)


def _column(chunked: Any) -> "NDArray[Any]":
    """A column of numbers in one piece, NaN where it has no value; read-only. (Arrow's own way imports pandas.)"""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = chunked.combine_chunks()
    if whole.null_count:
        whole = pc.fill_null(whole, pa.scalar(float("nan"), whole.type))
    kind = np.dtype(np.int32 if whole.type == pa.int32() else np.float64)
    if not len(whole):
        return np.empty(0, kind)
    return np.frombuffer(whole.buffers()[1], kind, count=len(whole), offset=whole.offset * kind.itemsize)
