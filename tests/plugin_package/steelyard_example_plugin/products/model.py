"""What the suite is made of: module, weights, inputs."""

import torch
from safetensors.torch import save_file

from steelyard.lowering.entry import PoolEntry


class Product(torch.nn.Module):
    """y = x @ w."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.empty(8, 8, device="meta"))

    def forward(self, x):
        """See the class."""
        return (x @ self.w,)


def build(*, in_place):
    """The module without weights."""
    return Product()


def write(arguments, directory, local):
    """Random weights."""
    generator = torch.Generator().manual_seed(arguments["seed"])
    save_file({"w": torch.randn(8, 8, generator=generator)}, directory / "weights.safetensors")


def make(point, modules, tokenizer_dir, count):
    """Random inputs."""
    generator = torch.Generator().manual_seed(7)
    inputs = [torch.randn(4, 8, generator=generator) for _ in range(count)]
    return [PoolEntry(inputs={"x": x}, references={"y": modules["main"](x.double())[0]}) for x in inputs]
