"""A point after lowering: files in the cache that a worker reads, and the tolerances it checks against."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from steelyard.core.workload import Identity, Point, Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A program in one format. `directory` is absolute and local; `entry` is the file to open in it.

    `inputs` and `outputs` are the names in the format's own positional order. `weight_bytes` counts
    the parameters stored in or referred to by the artifact, `weight_note` explains a difference from
    the source. `sha256` covers every one of the `files`. `details` is the format's own (opset, argument order).
    """

    format: str
    directory: str
    entry: str
    sha256: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weight_bytes: int
    weight_note: str = ""
    seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCount:
    """The work of one call of a program as a compiler counts it, or the `reason` why it does not. See docs/ceilings.md.

    `bytes` are those that every operation by itself would read and write, None where the counter has no such count.
    """

    flop: float | None
    bytes: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredProgram:
    """A program with its weight file (safetensors, named as the module's parameters) and artifacts by format.

    A format that could not be made is in `failures` with the reason: backends that need it are unsupported. `work`
    is by origin: what counted it.
    """

    program: Program
    weights_file: str
    artifacts: Mapping[str, Artifact]
    failures: Mapping[str, str] = field(default_factory=dict)
    work: Mapping[str, WorkCount] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """`floor` is the relative L2 error of the same program in the case's dtype under eager;
    `limit` is 10 x floor within the dtype's minimum and maximum; `stated` is what was stated by hand."""

    floor: float
    limit: float
    stated: float | None = None

    @property
    def allowed(self) -> float:
        """The error up to which an output passes. What is stated never asks for more than the dtype can give."""
        return self.limit if self.stated is None else max(self.limit, self.stated)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSet:
    """One member of the pool: a safetensors file of inputs by name and one of fp64 references by output name.

    State references hold only the point's window. For generate: `tokens` are the reference's tokens
    [batch][step]; from step `forced_from` on the reference's token is fed whatever the backend chose,
    because the top-2 margin at that step (`margin`) is within twice the logit tolerance.
    `text` is the decoded reference answer of the first sequence, where a tokenizer exists.
    """

    inputs: str
    reference: str
    tokens: tuple[tuple[int, ...], ...] = ()
    forced_from: int | None = None
    margin: float | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredPoint:
    """Everything a launch needs to run and check one point. `code` are the modules that define it, see `code_of`;
    `reference_by` says what computed the references where it was not the module in float64."""

    point: Point
    identity: Identity
    programs: Mapping[str, LoweredProgram]
    pool: tuple[InputSet, ...]
    tolerances: Mapping[str, Tolerance]
    tokenizer: str | None = None
    seconds: float = 0.0
    code: Mapping[str, str] = field(default_factory=dict)
    reference_by: str = ""

    def within(self, stated: float | None) -> "LoweredPoint":
        """The point as it is checked under a tolerance stated by hand; itself without one.

        An approximation may choose another token wherever two are near, and all later ones would be of another answer:
        the reference's tokens are then fed from the first step on, and the logits of the last are what is checked.
        """
        tolerances = {name: replace(each, stated=stated) for name, each in self.tolerances.items()}
        if all(each.allowed == each.limit for each in tolerances.values()):
            return self
        pool = tuple(replace(entry, forced_from=0, margin=None) if entry.tokens else entry for entry in self.pool)
        return replace(self, tolerances=tolerances, pool=pool)
