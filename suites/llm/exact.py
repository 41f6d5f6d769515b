"""Reference arithmetic: a decoder in true float64."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from steelyard.lowering.double import double_arithmetic


@contextmanager
def exact(*modules: nn.Module) -> Iterator[None]:
    """Run modules whose parameters are float64 wholly in float64, without gradients.

    Mixtures of experts run expert by expert, since batched products would copy the weights of every expert
    for every token in float64; mathematically it is the same sum.
    """
    configs = [module.config for module in modules if hasattr(module.config, "num_experts_per_tok")]
    before = [config._experts_implementation for config in configs]
    for config in configs:
        config._experts_implementation = "eager"
    try:
        with double_arithmetic():
            yield
    finally:
        for config, implementation in zip(configs, before, strict=True):
            config._experts_implementation = implementation
