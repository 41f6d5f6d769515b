"""The figures of a traced run."""

from steelyard.render.drawing import Figure
from steelyard.tracing.figure import Operators
from steelyard.tracing.fusion_figure import FusionFigure

FIGURES: tuple[Figure, ...] = (Operators(), FusionFigure())
