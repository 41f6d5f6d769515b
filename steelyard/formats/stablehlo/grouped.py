"""A transposed convolution in groups is written as one for each group.

torchax 0.0.13 lowers it without an error to a program whose numbers are wrong (docs/upstream.md).
"""

from typing import Any


def each_group(
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Any:
    """A decomposition of `aten.convolution`; every other convolution stays as it is."""
    import torch

    if not transposed or groups == 1:
        return NotImplemented
    parts = [
        torch.ops.aten.convolution(each, kernel, None, stride, padding, dilation, True, output_padding, 1)
        for each, kernel in zip(x.chunk(groups, 1), weight.chunk(groups, 0), strict=True)
    ]
    joined = torch.cat(parts, 1)
    return joined if bias is None else joined + bias.reshape(1, -1, *(1 for _ in range(x.dim() - 2)))
