"""Values of a suite's axes out of what the user asked for: parsed, checked, completed. Imports no framework."""

from collections.abc import Collection, Sequence
from typing import cast

from steelyard.core.errors import UsageError, unknown_name
from steelyard.core.workload import DType, Selection

DTYPES = ("float32", "bfloat16", "float16")


def workloads(suite: str, every: Sequence[str], selection: Selection) -> tuple[str, ...]:
    """The workloads asked for, in the suite's order. Raises UsageError for unknown names or an empty choice."""
    for name in (*selection.workloads, *selection.exclude):
        if name not in every:
            raise unknown_name("workload", name, every)
    wanted = selection.workloads or every
    left = tuple(name for name in every if name in wanted and name not in selection.exclude)
    if not left:
        raise UsageError(f"no workload of the suite {suite} is left: every one that was chosen is also excluded")
    return left


def numbers(selection: Selection, axis: str, default: int, smallest: int = 1) -> tuple[int, ...]:
    """The whole numbers asked for on an axis, each once, else its default. Raises UsageError for what is none."""
    found = []
    for text in selection.axes.get(axis, ()):
        number = int(text) if text.strip().isascii() and text.strip().isdigit() else smallest - 1
        if number < smallest:
            raise UsageError(
                f"axis '{axis}': '{text}' is not a whole number of at least {smallest}; write e.g. --set "
                f"{axis}={default}"
            )
        found.append(number)
    return tuple(dict.fromkeys(found)) or (default,)


def names(selection: Selection, axis: str, valid: Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
    """The names asked for on an axis, each once, else its default. Raises UsageError for an unknown one."""
    texts = selection.axes.get(axis, ())
    for text in texts:
        if text not in valid:
            raise unknown_name(f"value of axis '{axis}'", text, valid)
    return tuple(dict.fromkeys(texts)) or tuple(default)


def dtypes(selection: Selection) -> tuple[DType, ...]:
    """The types asked for; by default float32 on a CPU and bfloat16 on an accelerator."""
    found = names(selection, "dtype", DTYPES, ["float32" if selection.device_kind == "cpu" else "bfloat16"])
    return cast(tuple[DType, ...], found)


def size(selection: Selection, sizes: Collection[str]) -> str | None:
    """The size asked for, if any. Raises UsageError for an unknown one."""
    if selection.size is not None and selection.size not in sizes:
        raise unknown_name("size", selection.size, sizes)
    return selection.size
