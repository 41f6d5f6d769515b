"""The suite `smoke`: one small workload of each kind, to see in minutes what runs here."""

from collections.abc import Mapping
from dataclasses import replace

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.workload import Point, Selection, Suite
from steelyard.lowering import choices

KINDS: Mapping[str, tuple[str, str]] = {
    "convolutions": ("vision", "vgg19"),
    "encoder": ("embedding", "minilm"),
    "generation": ("llm", "generate"),
    "speech": ("speech", "whisper_step"),
    "recommender": ("recsys", "dlrm"),
    "recurrent": ("rnn", "lstm"),
    "state_space": ("ssm", "mamba2"),
    "simulation": ("rl", "unrolled"),
    "pairs": ("memory", "kernel_product"),
    "kernel": ("kernels", "softmax"),
    "training": ("train", "dlrm"),
}
"""Suite and workload of each: of those of a kind one that compiles soon."""


def points(selection: Selection) -> tuple[Point, ...]:
    """The kinds asked for, each at its own suite's `tiny`. Raises UsageError for an axis: each kind has others."""
    if selection.axes:
        raise UsageError(f"the suite smoke has no axis '{next(iter(selection.axes))}': choose one of the other suites")
    found: list[Point] = []
    for kind in choices.workloads("smoke", tuple(KINDS), selection):
        name, workload = KINDS[kind]
        asked = replace(selection, size="tiny", workloads=(workload,), exclude=(), weights_dir=None)
        found += (
            replace(point, suite="smoke", suite_version=2, workload=kind) for point in plugins.suite(name).points(asked)
        )
    return tuple(found)


SUITE = Suite(
    name="smoke",
    version=2,
    question="What runs on this machine at all?",
    headline="convolutions",
    workloads={kind: f"{workload} of the suite {name}, tiny" for kind, (name, workload) in KINDS.items()},
    sizes=("tiny",),
    axes=(),
    points=points,
    together=len(KINDS),
    quick_rounds=1,
)
