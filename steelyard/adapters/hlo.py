"""What the text of a compiled HLO module tells of its instructions."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from steelyard.core.trace import Kernel

_COMPUTATION = re.compile(r"(?:ENTRY )?%?([^\s(]+) .*\{$")
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%?(\S+) = .*? ([a-z][a-z0-9-]*)\(")
_QUOTED = re.compile(r'"[^"]*"')
_CALLED = re.compile(
    r"\b(?:calls|to_apply|body|condition|true_computation|false_computation|branch_computations|called_computations)="
    r"(\{[^}]*\}|[^\s,]+)"
)
_FUSION = re.compile(r"\bkind=(\w+)")
_CUSTOM_FUSION = re.compile(r'"fusion_(?:backend_)?config":\{"kind":"([^"]+)"')
_TARGET = re.compile(r'custom_call_target="([^"]+)"')
_OPERATOR_NAME = re.compile(r'op_name="([^"]*)"')
_MOVING = (
    *("parameter", "constant", "tuple", "get-tuple-element", "copy", "transpose", "bitcast", "reshape", "broadcast"),
    *("slice", "dynamic-slice", "concatenate", "pad", "reverse", "convert"),
)
"""Opcodes that move numbers and compute none."""
_SCOPE = re.compile(r"(?:^|/)fx:([^/:]+)(?::([^/:]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction. `kind` is its opcode; of a fusion and a custom call with which one (`fusion kLoop`).

    `computation` holds it, and `called` are those that it calls. `scopes` are the operators of the source program that
    its metadata name, and `nodes` their nodes: the scopes `fx:OPERATOR:NODE` that were open when it was traced.
    """

    name: str
    kind: str
    computation: str
    called: tuple[str, ...]
    scopes: tuple[str, ...]
    nodes: tuple[str, ...]


def instructions(text: str) -> dict[str, Instruction]:
    """The instructions of a module by name, which HLO keeps unique; of several modules one after the other likewise."""
    found: dict[str, Instruction] = {}
    computation = ""
    for line in text.splitlines():
        if header := _COMPUTATION.match(line):
            computation = header[1]
        elif (match := _INSTRUCTION.match(line)) and computation:
            name, opcode = match.groups()
            scopes = [scope for path in _OPERATOR_NAME.findall(line) for scope in _SCOPE.findall(path)]
            found[name] = Instruction(
                name=name,
                kind=_kind(opcode, line),
                computation=computation,
                called=tuple(_called(_QUOTED.sub("", line))),
                scopes=tuple(operator for operator, _ in scopes),
                nodes=tuple(node for _, node in scopes if node),
            )
    return found


def kernels(known: Mapping[str, Instruction], executed: Collection[str]) -> dict[str, Kernel]:
    """The instructions that were executed, as kernels.

    One that calls computations of which an instruction was executed too (a loop, a branch) only surrounds those. A
    fusion that computes nothing is of the kind `copy`, a name that the text lacks of the kind `unknown`.
    """
    inside, found = _by_computation(known), {}
    for name in executed:
        if name not in known:
            found[name] = Kernel(name=name, kind="unknown")
            continue
        instruction = known[name]
        below = list(_below(instruction, inside, set()))
        wrapper = any(each.name in executed for each in below)
        scopes = () if wrapper else tuple(scope for each in (instruction, *below) for scope in each.scopes)
        sources = tuple(dict.fromkeys(scopes))
        kind = "copy" if _only_moves(instruction, below) else instruction.kind
        found[name] = Kernel(name=name, kind=kind, sources=sources, wrapper=wrapper)
    return found


def nodes(
    known: Mapping[str, Instruction], names: Iterable[str], views: Collection[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each of these instructions with the nodes of the source program in it and in what it calls: those that compute
    something in it, `views`, and those that only move numbers wherever they are, as a cast does; of an instruction that
    only moves numbers those whose numbers they are."""
    inside = _by_computation(known)
    computing = _computed(known.values())
    moving = {node for each in known.values() for node in each.nodes} - computing
    for name in names:
        parts = (known[name], *_below(known[name], inside, set())) if name in known else ()
        told = tuple(dict.fromkeys(node for each in parts for node in each.nodes))
        computed = _computed(parts)
        wanted = computed | moving | {*views} if computed else told
        yield name, tuple(node for node in told if node in wanted)


def _computed(parts: Iterable[Instruction]) -> set[str]:
    """The nodes that instructions compute something of: a fusion has the name of its last one, which may only move."""
    computing = (each for each in parts if each.kind.partition(" ")[0] not in (*_MOVING, "fusion", "call"))
    return {node for each in computing for node in each.nodes}


def _by_computation(known: Mapping[str, Instruction]) -> dict[str, list[Instruction]]:
    inside: dict[str, list[Instruction]] = {}
    for instruction in known.values():
        inside.setdefault(instruction.computation, []).append(instruction)
    return inside


def _only_moves(fusion: Instruction, below: Collection[Instruction]) -> bool:
    return fusion.kind.startswith("fusion") and bool(below) and all(each.kind in _MOVING for each in below)


def _below(top: Instruction, inside: Mapping[str, list[Instruction]], seen: set[str]) -> Iterator[Instruction]:
    """The instructions of the computations that one calls, and of those that they call."""
    for computation in top.called:
        if computation not in seen:
            seen.add(computation)
            for instruction in inside.get(computation, ()):
                yield instruction
                yield from _below(instruction, inside, seen)


def _kind(opcode: str, line: str) -> str:
    patterns = {"fusion": (_CUSTOM_FUSION, _FUSION), "custom-call": (_TARGET,)}.get(opcode, ())
    which = next((match[1] for pattern in patterns if (match := pattern.search(line))), "")
    return f"{opcode} {which}" if which else opcode


def _called(line: str) -> Iterator[str]:
    for names in _CALLED.findall(line):
        yield from (name.strip().removeprefix("%") for name in names.strip("{}").split(","))
