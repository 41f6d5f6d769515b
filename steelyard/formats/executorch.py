"""ExecuTorch's program: the exported program, what XNNPACK takes delegated to it, the rest for portable kernels.

The weights are part of the file, packed for XNNPACK when a launch loads it.
"""

import warnings
from collections import Counter
from pathlib import Path

from steelyard.lowering.format import Draft, Exported, Format

_DELEGATE = "executorch_call_delegate"
_PLUMBING = frozenset({"getitem", "alloc"})


def convert(source: Exported, directory: Path, option: str | None) -> Draft:
    """Write `program.pte`."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch, about what ExecuTorch itself calls
        edge = to_edge_transform_and_lower(source.exported, partitioner=[XnnpackPartitioner()])
        called = Counter(
            _name(node.target) for node in edge.exported_program().graph.nodes if node.op == "call_function"
        )
        made = edge.to_executorch()
    file = directory / "program.pte"
    with file.open("wb") as stream:
        made.write_to_file(stream)
    return Draft(
        entry=file.name,
        weight_bytes=file.stat().st_size,
        weight_note="the whole file, which is weights for the most part",
        details={
            "delegates": called.pop(_DELEGATE, 0),
            "portable": {name: count for name, count in sorted(called.items()) if name not in _PLUMBING},
        },
    )


def _name(target: object) -> str:
    """`aten.embedding` of an operator in ExecuTorch's edge dialect, which prints its whole schema."""
    name = str(getattr(target, "__name__", target))
    return name.removesuffix(".default")


FORMAT = Format(name="executorch", packages=("executorch",), extra="executorch", convert=convert)
