"""The kernels as functions of tensors: inputs by position, weights and options by keyword."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from steelyard.lowering import plain

_FAR = 1e6
"""More than any distance of subsequence DTW between standard normal samples."""


class Kernel(nn.Module):  # type: ignore[misc]
    """A function of this module with its weights as parameters and its options fixed."""

    def __init__(self, compute: Any, weights: Mapping[str, Sequence[int]], options: Mapping[str, Any]) -> None:
        super().__init__()
        self.compute, self.options, self.names = compute, options, tuple(weights)
        for name, shape in weights.items():
            self.register_parameter(name, nn.Parameter(torch.empty(tuple(shape))))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """See the function."""
        found = self.compute(*inputs, **{name: getattr(self, name) for name in self.names}, **self.options)
        return found if isinstance(found, tuple) else (found,)


def build(
    *, in_place: bool, compute: str, dtype: str, weights: Mapping[str, Sequence[int]] | None = None, **options: Any
) -> nn.Module:
    """The kernel of a name."""
    del in_place
    function = getattr(sys.modules[__name__], compute)
    return plain.on_meta(lambda: Kernel(function, weights or {}, options), dtype)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Product of matrices."""
    return a @ b


def mlp(x: Tensor, *, up: Tensor, down: Tensor) -> Tensor:
    """Two products with GELU between them."""
    return functional.linear(functional.gelu(functional.linear(x, up)), down)


def convolution(x: Tensor, *, weight: Tensor, bias: Tensor, **options: int) -> Tensor:
    """Two-dimensional."""
    return functional.conv2d(x, weight, bias, **options)


def depthwise(x: Tensor, *, weight: Tensor, bias: Tensor) -> Tensor:
    """Two-dimensional, each channel with a kernel of its own, of the same extent as x."""
    return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=x.shape[1])


def transposed(x: Tensor, *, weight: Tensor, bias: Tensor, groups: int) -> Tensor:
    """Transposed convolution that doubles each edge."""
    return functional.conv_transpose2d(x, weight, bias, stride=2, groups=groups)


def max_pool(x: Tensor) -> Tensor:
    """Largest of windows of three by three, every second."""
    return functional.max_pool2d(x, 3, stride=2, padding=1)


def mean_pool(x: Tensor) -> Tensor:
    """Mean of windows of two by two."""
    return functional.avg_pool2d(x, 2)


def softmax(x: Tensor) -> Tensor:
    """Over the last axis."""
    return x.softmax(-1)


def layer_norm(x: Tensor, *, weight: Tensor, bias: Tensor) -> Tensor:
    """Over the last axis."""
    return functional.layer_norm(x, weight.shape, weight, bias)


def rms_norm(x: Tensor, *, weight: Tensor) -> Tensor:
    """Over the last axis."""
    return functional.rms_norm(x, weight.shape, weight, 1e-6)


def group_norm(x: Tensor, *, weight: Tensor, bias: Tensor, groups: int) -> Tensor:
    """Over groups of channels."""
    return functional.group_norm(x, groups, weight, bias)


def instance_norm(x: Tensor, *, weight: Tensor, bias: Tensor) -> Tensor:
    """Over each channel of each image."""
    return functional.instance_norm(x, weight=weight, bias=bias)


def rotary(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Halves of the last axis turned against each other (Su et al., 2021, in the form of GPT-NeoX)."""
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat([-second, first], dim=-1) * sine


def attention(query: Tensor, key: Tensor, value: Tensor, *, causal: bool) -> Tensor:
    """scaled_dot_product_attention."""
    return functional.scaled_dot_product_attention(query, key, value, is_causal=causal)


def masked_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """scaled_dot_product_attention with a mask that is added to the scores."""
    return functional.scaled_dot_product_attention(query, key, value, mask)


def lstm_cell(
    x: Tensor, hidden: Tensor, cell: Tensor, *, of_input: Tensor, of_hidden: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """One step: (hidden, cell) after it."""
    gates = functional.linear(x, of_input, bias) + functional.linear(hidden, of_hidden)
    enter, forget, new, leave = gates.chunk(4, dim=-1)
    cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * cell.tanh(), cell


def embedding_sum(rows_in: Tensor, *, table: Tensor) -> Tensor:
    """Rows of a table, summed."""
    return functional.embedding(rows_in, table).sum(1)


def top(x: Tensor, *, count: int) -> Tensor:
    """The largest of the last axis in order: values alone, as equal ones have no order."""
    return x.topk(count).values


def sort(x: Tensor) -> Tensor:
    """The last axis in order: values alone."""
    return x.sort().values


def argmax(x: Tensor) -> Tensor:
    """What lies at the place of the largest: of equal ones any place is right."""
    return x.gather(-1, x.argmax(-1, keepdim=True))


def cumsum(x: Tensor) -> Tensor:
    """Along the last axis."""
    return x.cumsum(-1)


def cumprod(x: Tensor) -> Tensor:
    """Along the last axis, of factors near one."""
    return (1 + x / 64).cumprod(-1)


def sum_of_rows(x: Tensor) -> Tensor:
    """Along the last axis, which is contiguous."""
    return x.sum(-1)


def sum_of_columns(x: Tensor) -> Tensor:
    """Along the first axis."""
    return x.sum(0)


def largest_of_rows(x: Tensor) -> Tensor:
    """Along the last axis."""
    return x.amax(-1)


def transpose(x: Tensor) -> Tensor:
    """A copy with the axes exchanged."""
    return x.transpose(0, 1).contiguous()


def permute(x: Tensor) -> Tensor:
    """Channels first to channels last, as a copy."""
    return x.permute(0, 2, 3, 1).contiguous()


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean over rows, of shape [1]."""
    return functional.cross_entropy(scores, labels).reshape(1)


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """Mean, of shape [1]."""
    return functional.mse_loss(x, y).reshape(1)


def divergence(x: Tensor, y: Tensor) -> Tensor:
    """Kullback-Leibler divergence of two softmax distributions, mean over rows, of shape [1]."""
    return functional.kl_div(x.log_softmax(-1), y.softmax(-1), reduction="batchmean").reshape(1)


def nearest(x: Tensor, points: Tensor, *, count: int) -> Tensor:
    """Squared distances of each x [queries, width] to its nearest points [points, width], by brute force."""
    squares = (x * x).sum(1)[:, None] - 2 * (x @ points.T) + (points * points).sum(1)[None, :]
    return squares.topk(count, largest=False).values


def kernel_product(x: Tensor, y: Tensor, values: Tensor) -> Tensor:
    """exp(-|x_i - y_j|^2 / width) times values: [rows] of x [rows, width], y [columns, width], values [columns]."""
    squares = (x * x).sum(1)[:, None] - 2 * (x @ y.T) + (y * y).sum(1)[None, :]
    return torch.exp(-squares / x.shape[1]) @ values


def subsequence_dtw(query: Tensor, reference: Tensor) -> Tensor:
    """Cost [batch] of the best alignment of query [batch, n] with any part of reference [batch, m].

    By anti-diagonals of the table (Mueller, 2007, section 4.4): each is a vector that depends on the two before it.
    """
    rows, columns = query.shape[1], reference.shape[1]
    costs = (query[:, :, None] - reference[:, None, :]).square()
    flat = functional.pad(costs, (0, rows), value=_FAR).flatten(1)
    skewed = flat[:, : rows * (columns + rows - 1)].unflatten(1, (rows, columns + rows - 1))
    edge = torch.zeros_like(query[:, :1])
    before = before_that = torch.full_like(query, _FAR)
    ends = []
    for index in range(rows + columns - 1):
        above, corner = (torch.cat([edge, line[:, :-1]], dim=1) for line in (before, before_that))
        least = torch.minimum(torch.minimum(above, corner), before)
        before_that, before = before, skewed[:, :, index] + least
        if index >= rows - 1:
            ends.append(before[:, -1])
    return torch.stack(ends, dim=1).amin(1)
