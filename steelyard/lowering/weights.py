"""Weights as entries of the cache."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.core.errors import SuiteError
from steelyard.core.hashing import stable_hash
from steelyard.core.suites_code import suites_code
from steelyard.core.workload import Point, Weights
from steelyard.lowering.cache import Cache
from steelyard.lowering.cached import Entry
from steelyard.lowering.format import WEIGHTS_MADE_BY, versions
from steelyard.lowering.references import tensor_sha256
from steelyard.lowering.source import load_weights
from steelyard.lowering.written import Written, written_by
from steelyard.plugins import load_attribute

FILE = "weights.safetensors"


def obtain_weights(cache: Cache, point: Point, weights: Weights, local: Path | None, label: str) -> Entry:
    """The entry of a point's weights: `weights.safetensors` and, where the source has one, a tokenizer.

    `local` is the user's checkpoint directory; it is no part of the key, since the arguments hold
    hashes of what lies in it. Facts: `sha256`, over the tensors by name. Raises CheckpointError.
    """

    def build(directory: Path) -> Mapping[str, Any]:
        with suites_code(weights.source):
            load_attribute(weights.source)(weights.arguments, directory, local)
        if not (directory / FILE).is_file():
            raise SuiteError(f"{weights.source} wrote no {FILE}")
        tensors = load_weights(directory / FILE)
        return {"sha256": stable_hash({name: tensor_sha256(tensor) for name, tensor in tensors.items()})}

    written = written_by(point, (weights.source,))
    return cache.obtain(
        "weights",
        weights_key(weights, written),
        label=label,
        made_with=_made_with(written),
        build=written.watched(build),
    )


def weights_key(weights: Weights, written: Written) -> str:
    """The key of the entry of weights. `written` is by their source."""
    return stable_hash([weights.key, _made_with(written)], 24)


def _made_with(written: Written) -> dict[str, str]:
    return versions(*WEIGHTS_MADE_BY) | written.made_with


def tokenizer(weights: Mapping[str, Entry]) -> Path | None:
    """The directory of the tokenizer, that of the first set of weights that has one."""
    return next((each.path for each in weights.values() if (each.path / "tokenizer.json").is_file()), None)
