"""The suite `coverage`: hundreds of architectures, each as small as it can be made: which of them does a compiler take?

`architectures.json` is what `survey.py` found in transformers. At this size speed says nothing.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.lowering.catalogue import Model, Size, Tensor, suite

_FOUND = json.loads(Path(__file__).with_name("architectures.json").read_text(encoding="utf-8"))

LEFT_OUT: Mapping[str, str] = _FOUND["left_out"]
"""Architectures that are not among them, each with the reason."""


def _model(told: Mapping[str, Any]) -> Model:
    def tensor(each: Mapping[str, Any]) -> Tensor:
        whole = each["dtype"] if each["dtype"].startswith("int") else None
        return Tensor(shape=tuple(each["shape"]), dtype=whole, below=each["below"])

    return Model(
        meaning=f"{told['class']} of transformers, reduced",
        kind=told["class"],
        inputs={name: tensor(each) for name, each in told["inputs"].items()},
        outputs={name: Tensor(shape=tuple(shape)) for name, shape in told["outputs"].items()},
        sizes={"tiny": Size(config=told["config"], axes={}, parameters=told["parameters"])},
        items=None,
        unit="calls",
    )


SUITE = suite(
    name="coverage",
    version=1,
    question="Which of hundreds of architectures does each backend take, and are its answers right?",
    headline="bert",
    models={name: _model(told) for name, told in _FOUND["built"].items()},
    axes={},
)
