"""What is computed from constants alone stands in the StableHLO program as numbers."""

import numpy as np
import pytest

pytestmark = pytest.mark.backends

LENGTH = 16


def lowered(module, given):
    """The StableHLO text of a torch module and what it computes of `given`."""
    import jax
    import torch

    from steelyard.lowering.stablehlo_fold import folding
    from steelyard.lowering.stablehlo_format import import_torchax

    torchax_export = import_torchax()
    exported = torch.export.export(module.eval(), (torch.from_numpy(given),)).run_decompositions()
    graph = folding(torchax_export.JaxInterpreter)(exported.graph_module)
    constants = [torchax_export.torchax.default_env().t2j_copy(held) for held in exported.constants.values()]

    @jax.jit
    def call(array):
        return graph.run(*constants, array, enable_io_processing=False)[0]

    return call.lower(given).as_text(), np.asarray(call(given))


@pytest.fixture(scope="module")
def modules():
    import torch

    class Rotary(torch.nn.Module):
        """Its table depends on no input; the number added is one repeated."""

        def forward(self, x):
            angles = torch.arange(LENGTH, dtype=torch.float32)[:, None] * torch.tensor([1.0, 0.5, 0.25, 0.125])
            return x * torch.cos(angles) + torch.full((LENGTH, 4), 2.0) * 3.0

    class Wide(torch.nn.Module):
        """Its table has more bytes than are folded."""

        def forward(self, x):
            return x + torch.sin(torch.arange(1 << 19, dtype=torch.float32))

    return Rotary(), Wide()


def test_a_table_is_a_constant_and_a_repeated_number_is_no_table(modules):
    module, _ = modules
    given = np.random.default_rng(0).standard_normal((LENGTH, 4)).astype(np.float32)
    text, found = lowered(module, given)
    assert "cosine" not in text
    assert "iota" not in text
    assert "dense<6.000000e+00>" in text
    angles = np.arange(LENGTH, dtype=np.float32)[:, None] * np.float32([1.0, 0.5, 0.25, 0.125])
    np.testing.assert_allclose(found, given * np.cos(angles) + 6, rtol=1e-5)


def test_what_is_large_stays_in_the_program(modules):
    _, module = modules
    text, found = lowered(module, np.zeros(1 << 19, np.float32))
    assert "stablehlo.sine" in text
    np.testing.assert_allclose(found[:100], np.sin(np.arange(100, dtype=np.float32)), rtol=1e-5, atol=1e-6)
