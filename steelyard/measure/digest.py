"""A digest of a measurement, made by the worker that took it: samples that are changed later no longer fit it."""

import hashlib
from dataclasses import replace

import numpy as np

from steelyard.core.hashing import canonical_json
from steelyard.core.result import Measurement


def sealed(entry: Measurement) -> Measurement:
    """The measurement with its digest."""
    return replace(entry, digest=digest_of(entry))


def digest_of(entry: Measurement) -> str:
    """The sha256 over what a measurement says: its words, its cut, its samples and starts to the last bit."""
    words = [entry.metric, entry.layer, entry.cut, entry.steady, entry.stop, len(entry.samples), len(entry.starts_s)]
    if entry.turns:
        words += [list(entry.turns), entry.begun_s]
    digest = hashlib.sha256(canonical_json(words).encode())
    for values in (entry.samples, entry.starts_s):
        digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
    return digest.hexdigest()
