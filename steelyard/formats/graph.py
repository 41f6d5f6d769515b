"""The source graph of a program: the nodes of torch.export before any converter decomposes them.

Every other format is lowered from it, so that profiles of all backends can be laid on it. No runtime reads it: runs
that are traced have it made beside what their backends need.
"""

from pathlib import Path

from steelyard import wire
from steelyard.core.graph import SourceNode
from steelyard.core.lowered import Artifact
from steelyard.core.workload import Program
from steelyard.lowering.format import GRAPH, Draft, Exported, Format
from steelyard.lowering.graph import source_graph

_FILE = "graph.json"


def convert(source: Exported, directory: Path, option: str | None) -> Draft:
    """Write `graph.json`."""
    return save(source_graph(source.exported), source.program, directory)


def save(graph: tuple[SourceNode, ...], program: Program, directory: Path) -> Draft:
    """Write the graph of a program; it holds no weights."""
    del program
    wire.write(directory / _FILE, graph)
    return Draft(entry=_FILE, weight_bytes=0, details={"nodes": len(graph)})


def load(artifact: Artifact) -> tuple[SourceNode, ...]:
    """The nodes. Raises StoreError for a file that holds something else."""
    return wire.read(Path(artifact.directory) / artifact.entry, tuple[SourceNode, ...])


FORMAT = Format(
    name=GRAPH,
    packages=(),
    extra="torch",
    convert=convert,
    revision="2",  # 2: copies are computed
    load=load,
    save=save,
)
