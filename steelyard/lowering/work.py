"""The work of one call of a program as compilers count it, beside the suite's own count; kept in the cache.

`torch`: its flop counter, over the module run on fake tensors: matrix products, convolutions and attention, two
operations a multiply-add. `xla`: HloCostAnalysis of the StableHLO program before any optimisation: every operation,
elementwise ones too, and the bytes that each would read and write by itself.
"""

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from steelyard.core.errors import Denied
from steelyard.core.hashing import stable_hash
from steelyard.core.lowered import Artifact, WorkCount
from steelyard.core.reason import reason_of
from steelyard.core.workload import Program
from steelyard.lowering.cache import Cache
from steelyard.lowering.cached import Entry
from steelyard.lowering.format import versions
from steelyard.lowering.source import build_with, load_weights
from steelyard.lowering.weights import FILE
from steelyard.lowering.written import Written

TORCH, XLA = "torch", "xla"
_REVISION = "1"
"""Raised when the counting itself changes."""
_NO_STABLEHLO = "the program was not lowered to StableHLO in this run"


def count_by_torch(cache: Cache, program: Program, weights: Entry, written: Written) -> WorkCount:
    """The flop counter's count. Must run before a converter changes the process.
    `written` is by the program's source."""
    made_with = {**versions("torch", "transformers"), "work": _REVISION, **written.made_with}
    key = stable_hash([program.key, weights.key, made_with, TORCH], 24)

    def build(_: Path) -> Mapping[str, Any]:
        return {"flop": _torch_flop(program, weights.path / FILE), "bytes": None}

    return _kept(cache, f"{key}/work-{TORCH}", f"work of {program.name} by torch", made_with, written.watched(build))


def count_by_xla(cache: Cache, program: Program, artifact: Artifact | None) -> WorkCount:
    """The cost analysis of the StableHLO artifact."""
    if artifact is None:
        return WorkCount(flop=None, reason=_NO_STABLEHLO)
    made_with = {**versions("jax", "jaxlib"), "work": _REVISION}
    key = stable_hash([artifact.sha256, made_with, XLA], 24)

    def build(_: Path) -> Mapping[str, Any]:
        return _xla_cost(Path(artifact.directory) / artifact.entry)

    return _kept(cache, f"{key}/work-{XLA}", f"work of {program.name} by XLA", made_with, build)


def _kept(
    cache: Cache, key: str, label: str, made_with: Mapping[str, str], build: Callable[[Path], Mapping[str, Any]]
) -> WorkCount:
    """The count from the cache, made if it is absent. A counter that fails is a count without a value: what it counts
    is a cross-check, for which no point may be lost."""
    try:
        facts = cache.obtain("programs", key, label=label, made_with=made_with, build=build).manifest.facts
    except Denied:
        raise
    except Exception as error:  # noqa: BLE001 (as above)
        traceback.print_exception(error)
        return WorkCount(flop=None, reason=reason_of(error))
    return WorkCount(flop=facts["flop"], bytes=facts["bytes"])


def _torch_flop(program: Program, weights_file: Path) -> float:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    module = build_with(program, load_weights(weights_file), in_place=False, file=weights_file)
    counter = FlopCounterMode(display=False)
    # Spelt out as matrix products: the counter knows no fused attention of CPUs, and would count it as nothing.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FakeTensorMode(allow_non_fake_inputs=True), counter:
        module(*(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in program.inputs))
    return float(counter.get_total_flops())


def _xla_cost(path: Path) -> Mapping[str, Any]:
    import jax

    exported = jax.export.deserialize(bytearray(path.read_bytes()))
    arguments, options = jax.tree.unflatten(exported.in_tree, exported.in_avals)
    lowered = (
        jax.jit(exported.call, keep_unused=True)
        .trace(*arguments, **options)
        .lower(lowering_platforms=tuple(exported.platforms))
    )
    cost = lowered.cost_analysis()
    flop = float(cost["flops"])
    moved = cost.get("bytes accessed")
    return {"flop": flop, "bytes": None if moved is None else float(moved)}
