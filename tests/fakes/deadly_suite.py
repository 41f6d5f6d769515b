"""The suite `deadly`: as `small`, but whoever exports its first workload dies of a division by zero, as compiled code
of a converter can, and whoever asks for inputs of its third aborts."""

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

from steelyard.core.workload import Point, Selection
from tests.fakes import small_suite


def points(selection: Selection) -> tuple[Point, ...]:
    """Deadly to export, harmless, deadly to make inputs for."""
    first, second = small_suite.points(selection)
    program = dataclasses.replace(first.programs["main"], source="tests.fakes.deadly_suite:build")
    third = dataclasses.replace(second, workload="third", pool="tests.fakes.deadly_suite:make")
    return dataclasses.replace(first, programs={"main": program}), second, third


def build(*, in_place: bool) -> Any:
    import torch

    class Deadly(type(small_suite.build(in_place=in_place))):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            if torch.compiler.is_exporting():
                os.kill(os.getpid(), signal.SIGFPE)
            return super().forward(x)

    return Deadly()


def make(point: Point, modules: Any, tokenizer_dir: Path | None, count: int) -> Any:
    os.abort()
