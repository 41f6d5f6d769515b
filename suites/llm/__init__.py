"""The suite `llm`: decoder-only language models. Imports no framework; models are built in child processes."""

from steelyard.core.citation import Citation
from steelyard.core.workload import Suite

from .axes import AXES, SWEEPS, WORKLOADS
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
    sweeps=SWEEPS,
    citations={
        "smollm2": Citation(
            key="smollm2",
            title="SmolLM2: When Smol Goes Big — Data-Centric Training of a Small Language Model",
            authors=("Ben Allal, Loubna", "Lozhkov, Anton", "Bakouch, Elie", "others"),
            year=2025,
            eprint="2502.02737",
            url="https://arxiv.org/abs/2502.02737",
        ),
    },
)
