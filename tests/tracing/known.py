"""A program of which it is known what compilers make of it: a product with what follows it, a convolution with what
follows it, and a softmax that is written out. Each has an input of its own."""

from typing import Any

import torch
from torch import nn


class Known(nn.Module):
    """Returns the three results."""

    def __init__(self) -> None:
        super().__init__()
        self.product = nn.Linear(64, 64)
        self.convolution = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, rows: Any, image: Any, scores: Any) -> tuple[Any, Any, Any]:
        """The product with an addition, the convolution, the softmax."""
        added = nn.functional.gelu(self.product(rows)) + rows
        seen = torch.relu(self.norm(self.convolution(image)))
        raised = torch.exp(scores)
        return added, seen, raised / raised.sum(-1, keepdim=True)


def build() -> tuple[nn.Module, tuple[Any, ...]]:
    """The program and its inputs."""
    return Known(), (torch.randn(4096, 64), torch.randn(2, 3, 64, 64), torch.randn(4096, 64))
