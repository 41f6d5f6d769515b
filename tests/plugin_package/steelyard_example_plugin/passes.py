"""A compiler pass as a torch.compile backend.

Use: `--backend torch_compile:steelyard_example_plugin.passes:drop_idle_views`.
torch.compile hands over a functional graph of ATen operators; the pass removes what does nothing to
its input, and the rest runs as it stands.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch.fx import GraphModule, Node

VIEWS = ("aten.alias", "aten.expand", "aten.permute", "aten.slice", "aten.view", "aten._unsafe_view", "aten.unsqueeze")


def drop_idle_views(graph_module: "GraphModule", example_inputs: "Sequence[torch.Tensor]") -> Callable[..., Any]:
    """The torch.compile backend: AOTAutograd makes the graph functional, `simplify` works on it."""
    from torch._dynamo.backends.common import aot_autograd

    return aot_autograd(fw_compiler=simplify)(graph_module, example_inputs)  # type: ignore[no-any-return]


def simplify(graph_module: "GraphModule", example_inputs: "Sequence[torch.Tensor]") -> Callable[..., Any]:
    """Remove views that change neither shape nor strides nor offset, and give the graph back as a function."""
    from functorch.compile import make_boxed_func  # type: ignore[import-untyped]

    returned = set(graph_module.graph.output_node().all_input_nodes)
    for node in tuple(graph_module.graph.nodes):
        # A returned view must stay a tensor of its own, or an input would be handed out as an output.
        if str(node.target).startswith(VIEWS) and node not in returned and _is_idle(node):
            node.replace_all_uses_with(node.args[0])
            graph_module.graph.erase_node(node)
    graph_module.recompile()
    return make_boxed_func(graph_module.forward)  # type: ignore[no-any-return]


def _is_idle(node: "Node") -> bool:
    before, after = (item.meta.get("val") for item in (node.args[0], node))
    if before is None or after is None:
        return False
    return (before.shape, before.stride(), before.storage_offset(), before.dtype) == (
        after.shape,
        after.stride(),
        after.storage_offset(),
        after.dtype,
    )
