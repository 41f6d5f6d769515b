"""Reference arithmetic: a decoder in true float64."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class _Double(TorchFunctionMode):  # type: ignore[misc]
    """Turns every request for float32 into one for float64."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is Tensor.float:
            return args[0].double()
        wide = {key: _widened(value) for key, value in (kwargs or {}).items()}
        return func(*(_widened(value) for value in args), **wide)


def _widened(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value


@contextmanager
def exact(*modules: nn.Module) -> Iterator[None]:
    """Run modules whose parameters are float64 wholly in float64, without gradients.

    The model classes of transformers convert to float32 inside norms, rotary embeddings and routers, so that
    a module merely converted to float64 computes parts of itself in float32 and would be a reference of about
    that precision. Here those conversions give float64. What stays are constants that are float32 by
    definition, such as rotary frequencies: they belong to the model.

    Mixtures of experts run expert by expert, since batched products would copy the weights of every expert
    for every token in float64; mathematically it is the same sum.
    """
    configs = [module.config for module in modules if hasattr(module.config, "num_experts_per_tok")]
    before = [config._experts_implementation for config in configs]
    for config in configs:
        config._experts_implementation = "eager"
    try:
        with torch.no_grad(), _Double():
            yield
    finally:
        for config, implementation in zip(configs, before, strict=True):
            config._experts_implementation = implementation
