"""Whether two manifests describe the same experiment, so that their rounds may be pooled."""

from collections.abc import Mapping
from typing import Any

from steelyard.core.run import Manifest
from steelyard.store import codec
from steelyard.store.privacy import scrub_tree

_PLAN = ("tool_version", "suite", "suite_version", "headline", "device", "budget", "baseline", "arms", "tunings")

# Facts of the environment that change what is measured for good. The rest (load, clocks, governor,
# free memory) may differ between segments and is recorded by each segment's noise readings.
HOST = ("cpu", "gpus", "kernel", "libc")
_ENVIRONMENT = ("packages", "python", *HOST)


def differences(stored: Manifest, now: Manifest) -> tuple[str, ...]:
    """Every difference that forbids pooling, as `name: stored -> now`; empty if there is none."""
    old, new = (scrub_tree(codec.to_plain(manifest)) for manifest in (stored, now))
    found = [text for name in _PLAN for text in _compare(name, old[name], new[name])]
    old_cases, new_cases = ({case.id: case for case in manifest.cases} for manifest in (stored, now))
    found += [
        f"case {old_cases[key].backend.text} {old_cases[key].point.title}: missing now"
        for key in old_cases
        if key not in new_cases
    ]
    found += [
        f"case {new_cases[key].backend.text} {new_cases[key].point.title}: not in the run"
        for key in new_cases
        if key not in old_cases
    ]
    for key, facts in stored.lowered.items():
        if key in now.lowered:
            other = now.lowered[key]
            for part in facts.identity.unlike(other.identity):
                if part == "code":
                    found += _compare(f"code of configuration {key}", facts.code, other.code)
                else:
                    digests = (getattr(each.identity, part) for each in (facts, other))
                    found += _compare(f"identity of configuration {key}, {part}", *digests)
    found += _compare("code of backend", stored.code, now.code)
    found += _compare("environment", old["environments"], new["environments"])
    for name in _ENVIRONMENT:
        found += _compare(name, old["environment"].get(name), new["environment"].get(name))
    return tuple(found)


def _compare(name: str, old: Any, new: Any) -> list[str]:
    if old == new:
        return []
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return [text for key in sorted({*old, *new}) for text in _compare(f"{name}.{key}", old.get(key), new.get(key))]
    return [f"{name}: {_short(old)} -> {_short(new)}"]


def _short(value: Any) -> str:
    text = codec.dump(value).decode()
    return text if len(text) <= 120 else text[:117] + "..."
