"""What the names of torch.profiler's events tell: operators, kernels of Inductor's, and what only surrounds them."""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache

from steelyard.core.trace import Kernel

_OPERATOR = re.compile(r"(\w+)::(\w+)")
_FUSED = re.compile(r"(?:graph_\d+_)?(cpp|triton)_(?:[a-z]+_)?fused(?:_(.+?))??_\d+")
_FROM_TEMPLATE = re.compile(r"graph_\d+_\w+|(?:cpp|triton)_\w+")
_SHIM = re.compile(r"aoti_torch_[a-z]+_(\w+)")
_NOT_OF_PROGRAMS = ("mkl", "mkldnn", "onednn", "inductor")
"""Namespaces of operators that a compiler calls and no source program does."""


def kernel(name: str, operators: Mapping[str, str]) -> Kernel:
    """An event's kernel; `operators` are those of `by_bare_name`.

    An operator of the dispatcher is of its own kind. A kernel that Inductor generated is `cpp_fused`, `cpp` (from a
    template) or `triton`; its sources are the operators that its name lists. What AOTInductor's code calls without the
    dispatcher has names as `aoti_torch_cpu_addmm_out`. Everything else only surrounds those.
    """
    if (operator := _OPERATOR.fullmatch(name)) and operator[1] != "profiler":
        own = operator[1] in _NOT_OF_PROGRAMS
        return Kernel(name=name, kind=name, sources=() if own else (f"{operator[1]}.{operator[2]}",))
    if fused := _FUSED.fullmatch(name):
        kind = "cpp_fused" if fused[1] == "cpp" else "triton"
        return Kernel(name=name, kind=kind, sources=_full(listed_operators(fused[2] or "", operators), operators))
    if _FROM_TEMPLATE.fullmatch(name):
        return Kernel(name=name, kind="triton" if name.startswith("triton_") else "cpp")
    if shim := _SHIM.fullmatch(name):
        called = [each for each in (shim[1], shim[1].removesuffix("_out")) if each in operators]
        return Kernel(name=name, kind=name, sources=_full(called[:1], operators))
    return Kernel(name=name, kind="wrapper", wrapper=True)


def device_kernel(name: str, launched_by: Collection[str], operators: Mapping[str, str]) -> Kernel:
    """An accelerator's kernel: Inductor's own by its name, others of the kind of the operators that launched them."""
    own = kernel(name, operators)
    if own.kind == "triton":
        return own
    launching = [kernel(operator, operators) for operator in sorted(launched_by)]
    sources = tuple(dict.fromkeys(source for each in launching for source in each.sources))
    return Kernel(name=name, kind=", ".join(each.kind for each in launching) or "unknown", sources=sources)


def by_bare_name(known: Iterable[str]) -> dict[str, str]:
    """The dispatcher's operators (`aten::add.Tensor`) as `aten.add` by their bare name; aten's own before others."""
    names = {name.partition(".")[0] for name in known}
    ordered = sorted(names, key=lambda name: (name.startswith("aten::"), name))
    return {name.partition("::")[2]: name.replace("::", ".") for name in ordered}


def listed_operators(text: str, operators: Collection[str]) -> tuple[str, ...]:
    """The operators in a name that joins them by `_`, which their own names hold too.

    Inductor lists each once and in alphabetical order. Of several ways to read it, the one with the longest first name;
    empty if none reads all of it.
    """
    words = text.split("_")

    @cache
    def rest(begin: int, before: str) -> tuple[str, ...] | None:
        if begin == len(words):
            return ()
        for end in range(len(words), begin, -1):
            first = "_".join(words[begin:end])
            if first in operators and first > before and (others := rest(end, first)) is not None:
                return (first, *others)
        return None

    return rest(0, "") or ()


def _full(names: Iterable[str], operators: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(operators[name] for name in names)
