"""Reference arithmetic: torch code that asks for narrower floating-point types computes in float64."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def double_arithmetic() -> Iterator[None]:
    """Without gradients, and whatever asks for a narrower floating-point type gets float64: casts and constants in the
    code of a module, operators of an exported graph with a type among their arguments.

    The model classes of transformers convert to float32 inside norms, rotary embeddings and routers: merely converted
    to float64, they would be references of about that precision. What a module keeps as float32 (rotary frequencies)
    and what it makes in torch's default type stay: they belong to the model. Where a product takes one of these beside
    float64, which torch does by itself in sums alone, it is made float64 there.
    """
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils import _pytree as pytree

    narrow = (torch.float32, torch.float16, torch.bfloat16)
    casts = (torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16)

    products = (
        *(torch.nn.functional.linear, torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm),
        *(torch.conv1d, torch.conv2d, torch.nn.functional.scaled_dot_product_attention),
    )

    def wide(leaf: Any) -> Any:
        return torch.float64 if isinstance(leaf, torch.dtype) and leaf in narrow else leaf

    def as_double(leaf: Any) -> Any:
        return leaf.double() if isinstance(leaf, torch.Tensor) and leaf.dtype in narrow else leaf

    def mixed(leaves: Any) -> bool:
        types = {leaf.dtype for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.is_floating_point()}
        return torch.float64 in types and len(types) > 1

    class Double(TorchFunctionMode):  # type: ignore[misc]
        """Every request for one of `narrow` is one for float64."""

        def __torch_function__(
            self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            if func in casts:
                return args[0].double()
            places, options = pytree.tree_map(wide, (args, dict(kwargs or {})))
            if func in products and mixed(pytree.tree_leaves((places, options))):
                places, options = pytree.tree_map(as_double, (places, options))
            return func(*places, **options)

    with torch.no_grad(), Double():
        yield
