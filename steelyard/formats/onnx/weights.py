"""Where the initializers of an ONNX model lie: in the stored weights, transposed beside them, or by themselves."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.core.hashing import stable_hash
from steelyard.lowering.cached import Entry
from steelyard.lowering.format import Exported, versions
from steelyard.lowering.linked import link
from steelyard.lowering.source import file_places

if TYPE_CHECKING:
    import torch

    Array = np.ndarray[Any, np.dtype[Any]]

_INLINE_BYTES = 1024
"""Smaller tensors go into the model itself; shape inference must see some of them."""
_MATCH_BYTES = 64
"""Smaller tensors equal each other by chance."""
_ALIGNMENT = 64
_WEIGHTS, _TRANSPOSED, _CONSTANTS = "weights.safetensors", "transposed.bin", "constants.bin"
SIDE_BY_SIDE = "side_by_side"
"""In the `meta` of an initializer: the values [inputs, outputs] that it consists of, one beside the other."""


Alike = list[tuple[str, bool]]
"""Names of the stored tensors that equal one of a model, and whether transposed; as stored first."""


class Places:
    """Replaces initializers by references. `weight_bytes` and `note` tell what the model then refers to."""

    def __init__(self, source: Exported, directory: Path) -> None:
        self._source = source
        self._directory = directory
        self._stored = {name: _bits(tensor) for name, tensor in source.tensors.items()}
        self._alike: dict[Any, list[tuple[str, bool]]] = {}
        for name, bits in self._stored.items():
            self._alike.setdefault(_sketch(bits), []).append((name, False))
            if bits.ndim == 2:
                self._alike.setdefault(_sketch(bits.T), []).append((name, True))
        self.weight_bytes = 0
        self.note = ""

    def settle(self, initializers: Mapping[str, Any]) -> None:
        """Point every large initializer at a file in the directory. Raises OSError when the disk is full."""
        matched: dict[str, list[Alike]] = {}
        for name, value in initializers.items():
            parts = value.meta.get(SIDE_BY_SIDE, (value,))
            matched[name] = [list(self._matches(part.const_value)) for part in parts]
        large = {name: value for name, value in initializers.items() if value.const_value.nbytes > _INLINE_BYTES}
        turned = {
            name: tuple(alike[0][0] for alike in matched[name])
            for name in large
            if all(alike and alike[0][1] for alike in matched[name])
        }
        beside = self._transposed(sorted(set(turned.values()))) if turned else None
        own: dict[str, Array] = {}
        direct = file_places(self._source.weights_file)
        for name, value in large.items():
            if name in turned and beside is not None:
                link(beside.path / _TRANSPOSED, self._directory)
                self._refer(value, _TRANSPOSED, beside.manifest.facts["offsets"][_together(turned[name])])
            elif len(matched[name]) == 1 and matched[name][0]:
                link(self._source.weights_file, self._directory)
                self._refer(value, _WEIGHTS, direct[matched[name][0][0][0]][0])
            else:
                own[name] = value.const_value.numpy()
        if own:
            offsets = _write(self._directory / _CONSTANTS, own.items())
            for name, offset in offsets.items():
                self._refer(initializers[name], _CONSTANTS, offset)
        self._account(initializers, matched)

    def _matches(self, tensor: Any) -> Iterator[tuple[str, bool]]:
        """Names of the stored tensors with these very bits, and whether transposed; as stored first."""
        if tensor.nbytes < _MATCH_BYTES or tensor.dtype.is_integer() or tensor.dtype.name == "BOOL":
            return
        array = tensor.numpy()
        bits = array.view(f"i{array.dtype.itemsize}")
        for name, turned in sorted(self._alike.get(_sketch(bits), ()), key=lambda place: place[1]):
            stored = self._stored[name].T if turned else self._stored[name]
            if np.array_equal(bits, stored):
                yield name, turned

    def _transposed(self, groups: list[tuple[str, ...]]) -> Entry:
        """The file of these tensors transposed, those of a group side by side: one for all programs of the model."""

        def build(directory: Path) -> Mapping[str, Any]:
            columns = ((_together(names), np.concatenate([self._stored[name] for name in names]).T) for names in groups)
            return {"offsets": _write(directory / _TRANSPOSED, columns)}

        made_with = versions()
        return self._source.cache.obtain(
            "weights",
            stable_hash([self._source.weights_key, "transposed", groups, made_with], 24),
            label="weights of linear layers, transposed (onnx)",
            made_with=made_with,
            build=build,
        )

    def _refer(self, value: Any, location: str, offset: int) -> None:
        import onnx_ir as ir

        held = value.const_value
        value.const_value = ir.ExternalTensor(
            location, offset, held.nbytes, held.dtype, shape=held.shape, name=value.name, base_dir=self._directory
        )

    def _account(self, initializers: Mapping[str, Any], matched: Mapping[str, list[Alike]]) -> None:
        used = {alike[0] for parts in matched.values() for alike in parts if alike}
        reached = {name for parts in matched.values() for alike in parts for name, _ in alike}
        sizes = {name: tensor.nbytes for name, tensor in self._source.tensors.items()}
        self.weight_bytes = sum(sizes[name] for name, _ in used)
        names = [name for name, _ in used]
        both = sorted(name for name in set(names) if names.count(name) > 1)
        equal = sorted(reached - set(names))
        lost = sorted(set(sizes) - reached)
        said = []
        if both:
            said.append(f"as stored and transposed: {', '.join(both)}")
        if equal:
            said.append(f"{len(equal)} tensors equal to others are held once ({sum(sizes[name] for name in equal)} B)")
        if lost:
            derived = sum(
                value.const_value.nbytes
                for name, value in initializers.items()
                if not all(matched[name]) and value.const_value.nbytes >= _MATCH_BYTES
            )
            self.weight_bytes += derived
            some = ", ".join(lost[:4]) + (", ..." if len(lost) > 4 else "")
            said.append(
                f"{len(lost)} stored tensors ({sum(sizes[name] for name in lost)} B: {some}) were reshaped or folded "
                f"by the exporter into {derived} B of constants"
            )
        self.note = "; ".join(said)


def _bits(tensor: "torch.Tensor") -> "Array":
    """The tensor's memory as integers of its width: comparable even where numpy knows no such float."""
    import torch

    widths = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    array: Array = tensor.detach().view(widths[tensor.element_size()]).numpy()
    return array


def _together(names: Sequence[str]) -> str:
    return ", ".join(names)


def _sketch(bits: "Array") -> Any:
    """Equal for equal arrays, and cheap: shape, width and the first numbers."""
    first = bits[(0,) * max(bits.ndim - 1, 0)][:64].tobytes() if bits.ndim and bits.size else b""
    return bits.shape, bits.dtype.itemsize, first


def _write(path: Path, arrays: Any) -> dict[str, int]:
    """Write arrays one after the other, aligned; returns the offset of each."""
    offsets: dict[str, int] = {}
    with path.open("wb") as stream:
        for name, array in arrays:
            stream.write(b"\0" * (-stream.tell() % _ALIGNMENT))
            offsets[name] = stream.tell()
            stream.write(np.ascontiguousarray(array).view(np.uint8).data)
    return offsets
