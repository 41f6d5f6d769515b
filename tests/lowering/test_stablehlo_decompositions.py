"""Core aten and torchax's table in one pass end in the program that two passes end in."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.backends

# In a process of its own: torchax gives torch a device that torch.compile cannot bear in later tests.
PROGRAM = """
import torch
from torch.nn import functional
from steelyard.formats.stablehlo import decompositions, import_torchax

class Block(torch.nn.Module):
    # Operators of one table, of the other, of both with unlike ways (std), and such as are composed of others.
    def __init__(self):
        super().__init__()
        self.norm, self.linear = torch.nn.LayerNorm(8), torch.nn.Linear(8, 8)
        self.convolution = torch.nn.Conv2d(2, 2, 3, padding=1)
        self.batch = torch.nn.BatchNorm2d(2)

    def forward(self, x):
        heads = x.reshape(2, 2, 6, 4)
        seen = functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True).reshape(x.shape)
        x = functional.gelu(self.linear(self.norm(seen)), approximate="tanh") / (x.std(dim=-1, keepdim=True) + 1)
        x = x.index_copy(1, torch.tensor([2]), x[:, :1]) + functional.silu(x).cumsum(1)
        planes = self.batch(self.convolution(x.reshape(2, 2, 3, 8)))
        return planes, torch.argmax(x, dim=-1), x.float().softmax(-1).topk(2)

torchax_export = import_torchax()
exported = torch.export.export(Block().eval(), (torch.ones(2, 6, 8),))
twice = exported.run_decompositions().run_decompositions(torchax_export.decompositions.DECOMPOSITIONS)
once = exported.run_decompositions(decompositions(torchax_export))
assert "std" in exported.graph_module.code and "std" not in once.graph_module.code
assert once.graph_module.code == twice.graph_module.code, once.graph_module.code + twice.graph_module.code
assert once.graph_signature == twice.graph_signature
"""


def test_one_pass_ends_where_two_do():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
