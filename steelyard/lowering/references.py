"""Input sets, float64 references and tolerances of points, as entries of the cache."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import SuiteError
from steelyard.core.hashing import stable_hash
from steelyard.core.lowered import InputSet, Tolerance
from steelyard.core.suites_code import suites_code
from steelyard.core.workload import Point, Weights
from steelyard.lowering.cached import Entry
from steelyard.lowering.declared import check_pool, check_repeatable
from steelyard.lowering.entry import PoolEntry
from steelyard.lowering.format import versions
from steelyard.lowering.origin import main_source
from steelyard.lowering.source import build_with
from steelyard.lowering.tolerance import RULE, forced_from, relative_l2, tolerance
from steelyard.lowering.written import Written
from steelyard.measure.distance import difference
from steelyard.measure.driver import driver_of
from steelyard.plugins import load_attribute

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]


def point_made_with(point: Point, written: Written) -> dict[str, str]:
    """What references depend on besides the point's definition: what makes the weights that they are computed from,
    too. `written` is by all sources of the point."""
    return versions(*main_source(point).packages) | written.made_with | {"tolerances": str(RULE)}


def point_key(point: Point, count: int, written: Written) -> str:
    """The key of a point's entry with `count` input sets."""
    return stable_hash([point.key, count, point_made_with(point, written)], 24)


def make_pool(
    point: Point,
    exact: "Callable[[Weights], Tensors]",
    modules: "dict[str, torch.nn.Module]",
    tokenizer: Path | None,
    count: int,
) -> list[PoolEntry]:
    """The point's input sets with references, by its own pool function.

    `exact` gives weights in float64; `modules` keeps the modules of programs that points share.
    """
    for program in point.programs.values():
        if program.key not in modules:
            modules[program.key] = build_with(program, exact(program.weights), in_place=False, dtype="float64")
    by_role = {role: modules[program.key] for role, program in point.programs.items()}
    with suites_code(point.pool):
        pool = list(load_attribute(point.pool)(point, by_role, tokenizer, count))
    if len(pool) != count:
        raise SuiteError(f"{point.pool} made {len(pool)} input sets instead of {count}")
    check_pool(point, pool)
    return pool


def write_point(
    point: Point,
    pool: Sequence[PoolEntry],
    run: "Callable[[str, Tensors], dict[str, torch.Tensor]]",
    directory: Path,
) -> Mapping[str, Any]:
    """Write input sets and references; returns facts: tolerances, tokens, digests.

    `run` runs the program of a role in the case's own dtype, which gives the floor.
    """
    from safetensors.torch import save_file

    errors: dict[str, list[float]] = {}
    logit_errors: list[float] = []
    last = list(point.programs.values())[-1]
    driver = driver_of(point)

    inputs, tokens = [entry.inputs for entry in pool], [entry.tokens for entry in pool]
    given = {name: tensor.clone() for name, tensor in inputs[0].items()}
    for index, (entry, outputs) in enumerate(zip(pool, driver.compute(point, inputs, tokens, run), strict=True)):
        if index == 0:
            again = next(driver.compute(point, inputs, tokens, run))
            check_repeatable(last, given, inputs[0], outputs, again)
        for name, reference in entry.references.items():
            if reference.is_floating_point():
                errors.setdefault(name, []).append(relative_l2(outputs[name], reference))
                if name in driver.feeds_back:
                    apart = difference(outputs[name].double().numpy(), reference.double().numpy())
                    logit_errors.append(float(abs(apart).max()))
    inside = {spec.name for spec in last.inputs if spec.role == "state"}
    values = sum(tensor.numel() for name, tensor in given.items() if name not in inside)
    sizes = {name: max(1, tensor.numel()) for entry in pool for name, tensor in entry.references.items()}
    tolerances = {
        name: tolerance(f"program '{last.name}'", name, last.dtype, found, terms=values / sizes[name])
        for name, found in errors.items()
    }
    logit_error = max(logit_errors, default=0.0)
    sets = []
    for index, entry in enumerate(pool):
        for kind, tensors in (("inputs", entry.inputs), ("reference", entry.references)):
            held = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
            save_file(held, directory / f"{index}.{kind}.safetensors")
        step = forced_from(entry.margins, logit_error)
        sets.append(
            {
                "tokens": entry.tokens,
                "forced_from": step,
                "margin": None if step is None else entry.margins[step],
                "text": entry.text,
            }
        )
    return {
        "sets": sets,
        "tolerances": {name: {"floor": each.floor, "limit": each.limit} for name, each in tolerances.items()},
        "logit_error": logit_error,
        "inputs_sha256": _digest([entry.inputs for entry in pool]),
        "reference_sha256": stable_hash(
            [_digest([entry.references for entry in pool]), [entry.tokens for entry in pool]]
        ),
    }


def read_point(entry: Entry) -> tuple[tuple[InputSet, ...], dict[str, Tolerance]]:
    """The input sets and tolerances of a point's entry."""
    sets = tuple(
        InputSet(
            inputs=str(entry.path / f"{index}.inputs.safetensors"),
            reference=str(entry.path / f"{index}.reference.safetensors"),
            tokens=tuple(tuple(row) for row in facts["tokens"]),
            forced_from=facts["forced_from"],
            margin=facts["margin"],
            text=facts["text"],
        )
        for index, facts in enumerate(entry.manifest.facts["sets"])
    )
    return sets, {name: Tolerance(**each) for name, each in entry.manifest.facts["tolerances"].items()}


def _digest(sets: "Sequence[Tensors]") -> str:
    """A digest over tensors that two machines with the same inputs agree on.

    Integers enter as they are. Floating-point tensors are computed (a cache by a float64 prefill, a
    reference), and the order of a sum differs between machines in the last bits; they enter as fractions of
    their largest magnitude rounded to 4 decimals, so that bits beyond a tenth of a per mille do not tell.
    """
    return stable_hash([{name: tensor_sha256(_rounded(tensor)) for name, tensor in each.items()} for each in sets])


def _rounded(tensor: "torch.Tensor") -> "torch.Tensor":
    import torch

    if not tensor.is_floating_point() or not tensor.numel():
        return tensor
    values = tensor.detach().to(torch.float64)
    known = values[values.isfinite()]
    largest = float(known.abs().max()) if known.numel() else 0.0
    # Powers of two, so that the scale itself does not hang on the last bits of the largest value.
    scale = 2.0 ** math.ceil(math.log2(largest)) if largest > 0 else 1.0
    values = torch.nan_to_num(values / scale, posinf=2.0, neginf=-2.0)  # finite ones lie between -1 and 1
    return torch.round(values * 1e4).to(torch.int32)


def tensor_sha256(tensor: "torch.Tensor") -> str:
    """A digest over dtype, shape and bytes."""
    import torch

    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8) if tensor.numel() else tensor.reshape(-1)
    head = json.dumps([str(tensor.dtype), list(tensor.shape)])
    digest = hashlib.sha256(head.encode())
    digest.update(flat.numpy().data if tensor.numel() else b"")
    return digest.hexdigest()
