"""Gradients of convolutions and of maxima as JAX takes them: by `jax.vjp` of the forward operator.

torchax 0.0.13 knows no `convolution_backward`, and its `max_pool2d_with_indices_backward` spreads gradients over whole
windows (docs/upstream.md).
"""

from typing import Any


def register() -> None:
    """Give both to torchax."""
    import torch
    from torchax.ops import ops_registry

    aten = torch.ops.aten
    for operator, how in (
        (aten.convolution_backward, _convolution),
        (aten.max_pool2d_with_indices_backward, _largest),
    ):
        ops_registry.all_aten_ops[operator] = ops_registry.Operator(
            operator, how, is_jax_function=True, is_user_defined=True, needs_env=False, is_view_op=False
        )


def _convolution(
    gradient: Any,
    x: Any,
    weight: Any,
    bias_sizes: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    wanted: Any,
) -> tuple[Any, Any, Any]:
    """`aten.convolution_backward`: gradients of input, weight and bias, each None where it is not `wanted`."""
    import jax
    from torchax.ops.jaten import _aten_convolution

    del bias_sizes

    def forward(x: Any, weight: Any) -> Any:
        return _aten_convolution(x, weight, None, stride, padding, dilation, transposed, output_padding, groups)

    of_x, of_weight = jax.vjp(forward, x, weight)[1](gradient)
    of_bias = gradient.sum((0, *range(2, gradient.ndim)))
    return tuple(each if asked else None for each, asked in zip((of_x, of_weight, of_bias), wanted, strict=True))  # type: ignore[return-value]


def _largest(
    gradient: Any, x: Any, size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, indices: Any
) -> Any:
    """`aten.max_pool2d_with_indices_backward`: the gradient of the input."""
    import jax
    from torchax.ops.jaten import max_pool

    del indices
    (of_x,) = jax.vjp(lambda x: max_pool(x, size, stride, padding, dilation, ceil_mode), x)[1](gradient)
    return of_x
