"""A program of StableHLO with every float32 as float64, by its text."""

import re

from steelyard.core.errors import SuiteError

_TYPE = re.compile(r"(?<=[x<:= ,(])f32\b")
_CONSTANT = re.compile(r"dense<([^>]*)> : (tensor<[0-9x]*)f32>")
_NUMBER = re.compile(r"0x([0-9A-Fa-f]{8})\b|-?\d+\.\d*(e[+-]?\d+)?")


def widened(text: str) -> str:
    """The program in float64. Raises SuiteError for one that keeps constants beside its text."""
    if "dense_resource<" in text:
        raise SuiteError("it keeps constants beside its text")
    return _TYPE.sub("f64", _CONSTANT.sub(_constant, text))


def _constant(found: re.Match[str]) -> str:
    """The same float32 numbers, to the last digit: one by one, or the bytes of all of them in twice as many."""
    import numpy as np

    values, kind = found[1], found[2]
    if values.startswith('"0x'):
        wide = np.frombuffer(bytes.fromhex(values[3:-1]), "<f4").astype("<f8")
        return f'dense<"0x{wide.tobytes().hex().upper()}"> : {kind}f32>'
    return f"dense<{_NUMBER.sub(_number, values)}> : {kind}f32>"


def _number(found: re.Match[str]) -> str:
    """A number by its digits; by its bits, most significant first, where it has none: infinity and NaN."""
    import numpy as np

    if found[1] is None:
        return f"{float(np.float32(found[0])):.17e}"
    return f"0x{np.frombuffer(bytes.fromhex(found[1]), '>f4').astype('>f8').tobytes().hex().upper()}"
