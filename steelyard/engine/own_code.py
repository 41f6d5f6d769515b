"""Code of the user's own in a run: noted when the run is planned, and looked at again after every launch."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from steelyard import plugins
from steelyard.core.backend import BackendSpec
from steelyard.core.code import changes, code_of
from steelyard.core.lowered import LoweredPoint
from steelyard.core.result import Result

_DIGITS = 12


def own_code(backends: Iterable[BackendSpec]) -> dict[str, dict[str, str]]:
    """By backend the sha256 of its modules, of those that do not come with this project: these have its version."""
    found = {spec.text: _own(spec) for spec in backends}
    return {text: code for text, code in found.items() if code}


def noted(result: Result, code: Mapping[str, str]) -> Result:
    """The result, whose proof says by which code of the user's own it came about: a digest is that code's version."""
    if result.proof is None or not code:
        return result
    versions = {**result.proof.versions, **{name: digest[:_DIGITS] for name, digest in code.items()}}
    return replace(result, proof=replace(result.proof, versions=versions))


def changed(backend: BackendSpec, code: Mapping[str, str], points: Iterable[LoweredPoint]) -> str:
    """What a launch may have run that is not what the run began with, in words; empty if nothing has changed.

    Nobody can tell which of the two a launch has run, so none of its numbers can be believed.
    """
    names = list(changes(code, _own(backend)))
    for point in points:
        names += changes(point.code, code_of(point.point.sources))
    if not names:
        return ""
    told = ", ".join(dict.fromkeys(names))
    return f"the code of {told} has changed since the run began: start a new run to measure what it is now"


def _own(spec: BackendSpec) -> dict[str, str]:
    if spec.environment is not None:  # what runs there is told by the packages of that environment
        return {}
    named = plugins.runner(spec.runner).modules(spec)
    return code_of(name for name in named if not name.startswith("steelyard."))
