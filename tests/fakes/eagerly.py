"""A compiler whose module switches compilation off when it is imported: `torch_compile:tests.fakes.eagerly:fn`."""

import torch

from tests.fakes.compilers import refused as fn

torch.compiler.set_stance("force_eager")

__all__ = ["fn"]
