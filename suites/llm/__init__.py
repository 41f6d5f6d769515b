"""The suite `llm`: decoder-only language models. Imports no framework; models are built in child processes."""

from steelyard.core.workload import Suite

from .axes import AXES, WORKLOADS
from .families import SIZES
from .programs import VERSION, points

SUITE = Suite(
    name="llm",
    version=VERSION,
    question="How fast does each backend answer with a decoder-only language model, and at what cost?",
    headline="generate",
    workloads=WORKLOADS,
    sizes=SIZES,
    axes=AXES,
    points=points,
)
