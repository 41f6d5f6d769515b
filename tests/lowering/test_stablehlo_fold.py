"""What is computed from constants alone stands in the StableHLO program as numbers."""

import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.backends

LENGTH = 16
WIDE = 1 << 19
# In a process of its own: torchax gives torch a device that torch.compile cannot bear in later tests.
PROGRAM = f"""
import sys
import jax
import numpy as np
import torch
from steelyard.formats.stablehlo.fold import folding
from steelyard.formats.stablehlo import import_torchax

class Rotary(torch.nn.Module):
    # Its table depends on no input; the number added is one repeated.
    def forward(self, x):
        angles = torch.arange({LENGTH}, dtype=torch.float32)[:, None] * torch.tensor([1.0, 0.5, 0.25, 0.125])
        return x * torch.cos(angles) + torch.full(({LENGTH}, 4), 2.0) * 3.0

class Wide(torch.nn.Module):
    # Its table has more bytes than are folded.
    def forward(self, x):
        return x + torch.sin(torch.arange({WIDE}, dtype=torch.float32))

name, given, found = sys.argv[1:]
given = np.load(given)
module = {{"Rotary": Rotary, "Wide": Wide}}[name]().eval()
torchax_export = import_torchax()
exported = torch.export.export(module, (torch.from_numpy(given),)).run_decompositions()
graph = folding(torchax_export.JaxInterpreter)(exported.graph_module)
constants = [torchax_export.torchax.default_env().t2j_copy(held) for held in exported.constants.values()]

@jax.jit
def call(array):
    return graph.run(*constants, array, enable_io_processing=False)[0]

np.save(found, np.asarray(call(given)))
print(call.lower(given).as_text())
"""


def lowered(folder, name, given):
    """The StableHLO text of a torch module and what it computes of `given`."""
    np.save(folder / "given.npy", given)
    command = [sys.executable, "-c", PROGRAM, name, str(folder / "given.npy"), str(folder / "found.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, np.load(folder / "found.npy")


def test_a_table_is_a_constant_and_a_repeated_number_is_no_table(tmp_path):
    given = np.random.default_rng(0).standard_normal((LENGTH, 4)).astype(np.float32)
    text, found = lowered(tmp_path, "Rotary", given)
    assert "cosine" not in text
    assert "iota" not in text
    assert "dense<6.000000e+00>" in text
    angles = np.arange(LENGTH, dtype=np.float32)[:, None] * np.float32([1.0, 0.5, 0.25, 0.125])
    np.testing.assert_allclose(found, given * np.cos(angles) + 6, rtol=1e-5)


def test_what_is_large_stays_in_the_program(tmp_path):
    text, found = lowered(tmp_path, "Wide", np.zeros(WIDE, np.float32))
    assert "stablehlo.sine" in text
    np.testing.assert_allclose(found[:100], np.sin(np.arange(100, dtype=np.float32)), rtol=1e-5, atol=1e-6)
