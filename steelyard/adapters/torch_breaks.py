"""`python -m steelyard.adapters.torch_breaks REQUEST.json`: a module under torch.compile with graph breaks allowed.

In a process of its own, as the factory's code may print, exit or raise. What happened is read from torch's structured
log of compilations (2.13), the one place that tells every break, those that leave a whole function uncompiled too.
"""

import logging
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from steelyard import wire
from steelyard.core.breaks import Breaks, BreaksRequest, Call, Compilation, Cost, GraphBreak
from steelyard.core.errors import SteelyardError, UsageError, unknown_name
from steelyard.core.reason import is_installed, reason_of, relative
from steelyard.plugins import load_attribute

_PLACE = re.compile(r"^Graph break in user code at (.+):(\d+)$", re.MULTILINE)
_FRAME = re.compile(r'^ *File "(.+)", line (\d+), in (\S+)$', re.MULTILINE)
_REASON = re.compile(r"^Graph Break Reason: (.*?)(?=^User code traceback:|\Z)", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r"^(\S.*)\n  Explanation: (.*)$", re.MULTILINE)
_HINT = re.compile(r"^  Hint: (?!Please report an issue)(.*)$", re.MULTILINE)
_RESUMED = re.compile(r"torch_dynamo_resume_in_(.+)_at_(\d+)$")
_GUARD = re.compile(r"^\d+/\d+: (.*?)(?:  +# (.*?)(?:  # .*)?)?$")
_RETURNS = (
    "it returns (module, inputs): a torch.nn.Module, and a tuple of its arguments or a dict of them by keyword, or a "
    "list of such for several calls"
)
_OURS = f"{Path(__file__).parents[1]}/"
_MOST_METRICS = 10_000
_TURNS = 5
Inputs = tuple[Any, ...] | Mapping[str, Any]


class _Heard(logging.Handler):
    """Keeps what torch's structured log says, with the number of the call under way."""

    def __init__(self) -> None:
        super().__init__()
        self.call = 0
        self.breaks: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        told = getattr(record, "metadata", {}).get("artifact", {})
        if told.get("name") == "dynamo_graph_break_reason":
            self.breaks.append((self.call, str(getattr(record, "payload", None) or "")))


def observe(request: BreaksRequest) -> Breaks:
    """Compile and call. Raises UsageError for a factory or a module that does not work as it is written."""
    import torch
    import torch._dynamo
    from torch._dynamo.utils import get_compilation_metrics, set_compilation_metrics_limit
    from torch._logging._internal import trace_log

    known = torch._dynamo.list_backends(exclude_tags=())
    if request.backend not in known:
        raise unknown_name("torch.compile backend", request.backend, known)
    module, calls = _made(request.factory)
    calls += [_reshaped(calls[0], module, name, shape) for name, shape in request.shapes]
    heard, found, outcomes = _Heard(), [], []
    with torch.no_grad():
        for inputs in calls:
            _written(request.factory, module, inputs)
        set_compilation_metrics_limit(_MOST_METRICS)
        trace_log.addHandler(heard)
        compiled = torch.compile(module, backend=request.backend)
        for index, inputs in enumerate(calls):
            heard.call, before = index, len(get_compilation_metrics())
            failed = _failed(compiled, inputs)
            outcomes.append(Call(inputs=_told(inputs), failed=failed))
            found += [_compilation(each, index) for each in get_compilation_metrics()[before:]]
        trace_log.removeHandler(heard)
        untimed = outcomes[0].failed and f"the first call failed when compiled: {outcomes[0].failed}"
        if elsewhere := sorted(_devices(module, calls[0]) - {"cpu"}):
            untimed = untimed or f"tensors lie on {' and '.join(elsewhere)}, and calls are timed on the CPU alone"
        cost = None if untimed else _cost(module, compiled, calls[0], request.seconds)
    return Breaks(
        factory=request.factory,
        backend=request.backend,
        torch=str(torch.__version__),
        threads=torch.get_num_threads(),
        calls=tuple(outcomes),
        breaks=tuple(_together(heard.breaks)),
        compilations=tuple(found),
        cost=cost,
        untimed=untimed,
    )


def _made(factory: str) -> tuple[Any, list[Inputs]]:
    """The module in eval mode and its calls."""
    import torch

    torch.manual_seed(0)
    try:
        returned = load_attribute(factory)()
    except SteelyardError:
        raise
    except Exception as error:  # whatever the user's code raises
        raise UsageError(f"{factory}() failed: {reason_of(error)}") from error
    if not isinstance(returned, tuple) or len(returned) != 2 or not isinstance(returned[0], torch.nn.Module):
        raise UsageError(f"{factory} returned a {type(returned).__name__}: {_RETURNS}")
    module, inputs = returned
    several = isinstance(inputs, list) and inputs and all(isinstance(each, tuple | Mapping) for each in inputs)
    calls = list(inputs) if several else [tuple(inputs) if isinstance(inputs, list) else inputs]
    if not all(isinstance(each, tuple | Mapping) for each in calls):
        raise UsageError(f"{factory} gave a {type(inputs).__name__} as inputs: {_RETURNS}")
    return module.eval(), calls


def _reshaped(inputs: Inputs, module: Any, name: str, shape: tuple[int, ...]) -> Inputs:
    """The inputs with one tensor in other extents, filled with its own values over and over."""
    import inspect

    import torch

    names = list(inputs) if isinstance(inputs, Mapping) else list(inspect.signature(module.forward).parameters)
    if len(inputs) > len(names):
        raise UsageError(f"--shape {name}: the forward takes any number of arguments, so that none of them has a name")
    values = dict(zip(names, inputs.values() if isinstance(inputs, Mapping) else inputs, strict=False))
    given = values.get(name)
    if not isinstance(given, torch.Tensor) or not given.numel():
        tensors = [key for key, value in values.items() if isinstance(value, torch.Tensor)]
        raise UsageError(f"--shape {name}: there is no such tensor among the inputs: {', '.join(tensors) or 'none'}")
    count = torch.Size(shape).numel()
    values[name] = given.flatten()[torch.arange(count) % given.numel()].reshape(shape)
    return values if isinstance(inputs, Mapping) else tuple(values.values())


def _copied(inputs: Inputs) -> Inputs:
    """Inputs of their own for one call: a module may write into tensors that it is given, nested ones too."""
    import torch
    from torch.utils._pytree import tree_map_only

    plain = dict(inputs) if isinstance(inputs, Mapping) else tuple(inputs)
    copied: Inputs = tree_map_only(torch.Tensor, lambda tensor: tensor.clone(), plain)
    return copied


def _run(function: Callable[..., Any], inputs: Inputs) -> Any:
    return function(**inputs) if isinstance(inputs, Mapping) else function(*inputs)


def _devices(module: Any, inputs: Inputs) -> set[str]:
    """The types of the devices on which parameters, buffers and inputs lie."""
    import torch
    from torch.utils._pytree import tree_leaves

    leaves = tree_leaves(list(inputs.values() if isinstance(inputs, Mapping) else inputs))
    tensors = (*module.parameters(), *module.buffers(), *(each for each in leaves if isinstance(each, torch.Tensor)))
    return {tensor.device.type for tensor in tensors}


def _written(factory: str, module: Any, inputs: Inputs) -> None:
    try:
        _run(module, _copied(inputs))
    except Exception as error:  # whatever the user's code raises
        told = f"{_told(inputs)}: {reason_of(error)}"
        raise UsageError(f"{factory}: its module fails as it is written, with {told}") from error


def _failed(compiled: Callable[..., Any], inputs: Inputs) -> str:
    try:
        _run(compiled, _copied(inputs))
    except Exception as error:  # noqa: BLE001 (whatever the compiler raises: it is what the user wants to know)
        return reason_of(error)
    return ""


def _told(inputs: Inputs) -> str:
    """Inputs in words: tensors by type and extents, all else by value."""
    import torch

    def word(value: Any) -> str:
        if isinstance(value, torch.Tensor):
            return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
        return repr(value)[:40]

    if isinstance(inputs, Mapping):
        return ", ".join(f"{name}={word(value)}" for name, value in inputs.items())
    return ", ".join(map(word, inputs))


def _compilation(metrics: Any, call: int) -> Compilation:
    name, line = str(metrics.co_name), metrics.co_firstlineno
    if resumed := _RESUMED.match(name):
        name = f"{resumed[1]}, on from line {resumed[2]}"
    told = (metrics.recompile_reason or "").strip().partition("\n")[0]
    guard = _GUARD.match(told)
    failed = (metrics.fail_reason or "").strip().partition("\n")[0]
    return Compilation(
        function=name,
        where=f"{relative(str(metrics.co_filename))}:{line}",
        operators=metrics.graph_op_count or None,
        seconds=float(metrics.entire_frame_compile_time_s or 0.0),
        guard=guard[1].strip() if guard else told,
        code=(guard[2] or "").strip() if guard else "",
        failed=failed and f"{metrics.fail_type}: {failed}",
        call=call,
    )


def _together(heard: list[tuple[int, str]]) -> Iterator[GraphBreak]:
    """Each place and reason once, in the order in which they were met."""
    first: dict[tuple[str, str], GraphBreak] = {}
    times: dict[tuple[str, str], int] = {}
    for call, text in heard:
        if (found := parsed(text, call)) is None:
            continue
        key = found.where, found.reason
        first.setdefault(key, found)
        times[key] = times.get(key, 0) + 1
    for key, found in first.items():
        yield replace(found, times=times[key])


def parsed(text: str, call: int) -> GraphBreak | None:
    """What one entry of the log says; None for one that names no place, which repeats another."""
    place, reason = _PLACE.search(text), _REASON.search(text)
    if place is None or reason is None:
        return None
    title = _TITLE.search(reason[1])
    hint = _HINT.search(reason[1])
    frames = [(file, line, name) for file, line, name in _FRAME.findall(text[reason.end() :])]
    around = next((name for file, line, name in frames if (file, line) == (place[1], place[2])), "")
    resumed = _RESUMED.match(around)
    own = [(file, line) for file, line, _ in frames if not is_installed(file) and not file.startswith(_OURS)]
    where, caller = (place[1], place[2]), own[-1] if own else None
    return GraphBreak(
        where=_shown(where),
        function=resumed[1] if resumed else around,
        reason=title[1] if title else reason[1].strip().partition("\n")[0],
        explanation=title[2] if title else "",
        hint=hint[1] if hint else "",
        caller=_shown(caller) if caller and is_installed(place[1]) else "",
        skipped="Skipping the function and falling back to eager" in reason[1],
        times=1,
        call=call,
    )


def _shown(place: tuple[str, str]) -> str:
    return f"{relative(place[0])}:{place[1]}"


def _cost(module: Any, compiled: Any, inputs: Inputs, seconds: float) -> Cost:
    """Both timed in turns after they have run once more, without the time in which inputs are copied."""
    taken: dict[int, list[float]] = {0: [], 1: []}
    for function in (module, compiled):
        _run(function, _copied(inputs))
    end = time.perf_counter() + seconds
    while len(taken[1]) < _TURNS or time.perf_counter() < end:
        for side, function in enumerate((module, compiled)):
            given = _copied(inputs)
            begun = time.perf_counter()
            _run(function, given)
            taken[side].append(time.perf_counter() - begun)
    return Cost(eager_s=statistics.median(taken[0]), compiled_s=statistics.median(taken[1]), calls=len(taken[0]))


def main(arguments: list[str]) -> int:
    """Observe, and write what was found. An error of the user's goes to stderr."""
    request = wire.read(Path(arguments[0]), BreaksRequest)
    try:
        found = observe(request)
    except SteelyardError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    wire.write(Path(request.output), found)
    return 0


if __name__ == "__main__":
    sys.path.append(os.getcwd())  # last: a user's file must not shadow a package
    sys.exit(main(sys.argv[1:]))
