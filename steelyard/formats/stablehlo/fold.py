"""What a program computes from constants alone is computed once, where it is lowered.

XLA's CPU compiler leaves such parts in the program: the rotary tables and the mask of a prefill, which depend on no
input, would be made anew by every call. Who writes JAX by hand makes them beforehand. What is folded is the value of a
node whose operands are all constants, unless it has more than `MOST_BYTES`; one number repeated is written as such.
"""

from typing import Any

from steelyard.lowering.graph import bare, origin

MOST_BYTES = 1 << 20


def folding(interpreter: type[Any]) -> type[Any]:
    """The interpreter of torchax (a torch.fx.Interpreter over JAX arrays), which folds while it is traced."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from torch.fx.node import map_aggregate

    def embedded(value: Any) -> Any:
        """A constant as an operand of what is traced."""
        if not isinstance(value, jax.Array) or isinstance(value, jax.core.Tracer):
            return value
        held = np.asarray(value)
        return value if not held.size or (held != held.flat[0]).any() else jnp.full(held.shape, held.flat[0])

    class Folding(interpreter):  # type: ignore[misc]
        def run_node(self, n: Any) -> Any:
            self.small = _nbytes(n.meta.get("val")) <= MOST_BYTES
            source = origin(n)
            # What it was, for profilers: XLA keeps it beside instructions.
            with jax.named_scope(f"fx:{bare(str(source.target))}:{source.name}"):
                return super().run_node(n)

        def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
            traced: list[bool] = []
            map_aggregate((args, kwargs), lambda leaf: traced.append(isinstance(leaf, jax.core.Tracer)))
            if self.small and not any(traced):
                with jax.ensure_compile_time_eval():
                    return super().call_function(target, args, kwargs)
            return super().call_function(target, map_aggregate(args, embedded), map_aggregate(kwargs, embedded))

    return Folding


def _nbytes(value: Any) -> float:
    """Bytes of a traced tensor of torch, or of several; infinite where it is none."""
    if isinstance(value, (tuple, list)):
        return sum(_nbytes(each) for each in value)
    return float(getattr(value, "nbytes", "inf"))
