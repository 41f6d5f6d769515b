"""The keys and values of a sequence in llama.cpp's cache, as arrays and back: the form in which
`llama_state_seq_get_data` gives them and `llama_state_seq_set_data` takes them (llama-kv-cache.cpp, state_write and
state_read).

Little-endian, unaligned: u32 of a fixed value, i32 sequence; u32 streams; for each stream u32 cells, and where there
are any, for each cell i32 position, u32 one, i32 sequence; u32 whether values lie transposed, u32 layers; for each
layer i32 type, u64 bytes of a row, rows of keys; then for each layer of the values the same, or where they are
transposed i32 type, u32 bytes of an element, u32 width, and the cells of each element.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import SteelyardError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
else:
    Array = Any

_CELL = struct.Struct("<iIi")
_MAGIC = 0xAF143CD8
"""`io_magic` in llama-context.cpp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a cache of llama.cpp is like: streams, which of them a sequence is in, layers, key heads and their width,
    the type of its elements, by numpy and by number, and whether values lie transposed."""

    streams: int
    layers: int
    heads: int
    width: int
    dtype: Any
    number: int
    transposed: bool

    @property
    def row(self) -> int:
        """Elements of keys, or of values, of one cell in a layer."""
        return self.heads * self.width


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found

    def expect(self, what: str, form: str, *wanted: int) -> None:
        found = self.take(form)
        if found != wanted:
            raise SteelyardError(
                f"llama.cpp's cache has another form than this runner reads: {what} {found}, not {wanted}"
            )

    def array(self, layout: Layout, *shape: int) -> Array:
        import numpy as np

        count = int(np.prod(shape))
        found = np.frombuffer(self._data, layout.dtype, count, self._at).reshape(shape)
        self._at += found.nbytes
        return found


def unpacked(data: bytes, layout: Layout) -> tuple[list[int], list[Array], list[Array]]:
    """The positions of the cells; keys and values of each layer, [cells, heads, width]. Raises SteelyardError where the
    data has another form."""
    reader = _Reader(data)
    reader.expect("beginning", "<I", _MAGIC)
    reader.take("<i")
    reader.expect("streams", "<I", layout.streams)
    positions: list[int] = []
    keys: list[Array] = []
    values: list[Array] = []
    for _ in range(layout.streams):
        (cells,) = reader.take("<I")
        if not cells:
            continue
        positions = [reader.take(_CELL.format)[0] for _ in range(cells)]
        reader.expect("the order of values, layers", "<II", int(layout.transposed), layout.layers)
        shape, size = (cells, layout.heads, layout.width), layout.dtype.itemsize
        for _ in range(layout.layers):
            reader.expect("keys", "<iQ", layout.number, layout.row * size)
            keys.append(reader.array(layout, *shape))
        for _ in range(layout.layers):
            if layout.transposed:
                reader.expect("values", "<iII", layout.number, size, layout.row)
                values.append(reader.array(layout, layout.row, cells).T.reshape(shape))
            else:
                reader.expect("values", "<iQ", layout.number, layout.row * size)
                values.append(reader.array(layout, *shape))
    return positions, keys, values


def packed(sequence: int, keys: Sequence[Array], values: Sequence[Array], layout: Layout) -> bytes:
    """Keys and values of each layer, [cells, heads, width], as the cells 0, 1, ... of a sequence."""
    cells, size = len(keys[0]), layout.dtype.itemsize
    parts = [struct.pack("<IiI", _MAGIC, sequence, layout.streams)]
    for stream in range(layout.streams):
        here = stream == (sequence if layout.streams > 1 else 0)
        parts.append(struct.pack("<I", cells if here else 0))
        if not (here and cells):
            continue
        parts += [_CELL.pack(position, 1, sequence) for position in range(cells)]
        parts.append(struct.pack("<II", int(layout.transposed), layout.layers))
        for each in keys:
            parts += [struct.pack("<iQ", layout.number, layout.row * size), _bytes(each, layout)]
        for each in values:
            if layout.transposed:
                flat = each.reshape(cells, layout.row).T
                parts += [struct.pack("<iII", layout.number, size, layout.row), _bytes(flat, layout)]
            else:
                parts += [struct.pack("<iQ", layout.number, layout.row * size), _bytes(each, layout)]
    return b"".join(parts)


def _bytes(array: Array, layout: Layout) -> bytes:
    import numpy as np

    return np.ascontiguousarray(array, dtype=layout.dtype).tobytes()
