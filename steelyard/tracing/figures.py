"""The figures of a traced run."""

from steelyard.render.drawing import Figure
from steelyard.tracing.compile_figure import CompilationTime
from steelyard.tracing.figure import Operators
from steelyard.tracing.fusion_figure import FusionFigure
from steelyard.tracing.memory_figure import MemoryOverTime

FIGURES: tuple[Figure, ...] = (Operators(), FusionFigure(), CompilationTime(), MemoryOverTime())
