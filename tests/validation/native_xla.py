"""A Llama written by hand in JAX: the cache is a donated argument, written with `dynamic_update_slice`, under `jit`.

What the backend `xla` runs of an exported program is traced from Python here. Runner, binding and proof are that
backend's.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import Executable
from steelyard.core.workload import Program
from tests.validation.llama import EMBEDDING, LAST_NORM, Llama, llama_of, rotary_tables, weight_shapes
from tests.validation.native import NativeRunner
from tests.validation.wrapped import WrappedExecutable

PATH = "tests.validation.native_xla:Native"
Attend = Callable[[int, Any, Any, Any], tuple[Any, Any, Any]]
"""Layer, queries, keys and values [batch, heads, length, head_width] to mixed values and the layer's two caches."""


class Native(NativeRunner):
    """The backend `xla` with a JAX function instead of an exported program."""

    of: ClassVar[str] = "xla"

    def load(self, program: LoweredProgram) -> Executable:
        """Trace nothing yet; read the weights. Raises Unsupported for what is no Llama of the suite."""
        function = Function(program.program)
        xla: Any = self.inner
        return _Executable(self, xla.executable(program.program, function, program.weights_file, function.names))


class _Executable(WrappedExecutable):
    @property
    def execution_mode(self) -> Mapping[str, str]:
        return {**self.inner.execution_mode, "program": "JAX by hand, dynamic_update_slice"}


class Function:
    """The program as a JAX function `call(weights, *inputs)`, in the form of an exported one."""

    def __init__(self, program: Program) -> None:
        import jax
        import numpy as np

        self.llama = llama = llama_of(program)
        shapes = weight_shapes(llama)
        self.names = tuple(shapes)
        weights = [jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes.values()]
        kept = {"int64": "int32"}  # JAX's own integers have 32 bits
        inputs = [jax.ShapeDtypeStruct(spec.shape, kept.get(spec.dtype, spec.dtype)) for spec in program.inputs]
        self.in_avals = (*weights, *inputs)

    def call(self, weights: tuple[Any, ...], *inputs: Any) -> tuple[Any, ...]:
        """The outputs of the program, in its order."""
        held = dict(zip(self.names, weights, strict=True))
        return (_prefill if self.llama.kind == "prefill" else _decode)(self.llama, held, *inputs)

    def mlir_module(self) -> str:
        """The traced program as StableHLO."""
        import jax

        count = len(self.names)
        traced = jax.jit(self.call).lower(tuple(self.in_avals[:count]), *self.in_avals[count:])
        return str(traced.as_text())


def _prefill(llama: Llama, weights: Mapping[str, Any], ids: Any) -> tuple[Any, ...]:
    import jax.numpy as jnp

    seen = jnp.tril(jnp.ones((llama.length, llama.length), bool))
    spare = ((0, 0), (0, 0), (0, llama.capacity - llama.length), (0, 0))

    def attend(layer: int, queries: Any, keys: Any, values: Any) -> tuple[Any, Any, Any]:
        mixed = _attention(llama, queries, keys, values, seen)
        return mixed, jnp.pad(keys, spare), jnp.pad(values, spare)

    cosines, sines = (jnp.asarray(table) for table in rotary_tables(llama, llama.length))
    return _forward(llama, weights, ids, cosines, sines, attend)


def _decode(llama: Llama, weights: Mapping[str, Any], ids: Any, position: Any, *state: Any) -> tuple[Any, ...]:
    import jax.numpy as jnp
    from jax import lax

    place = position[0]
    seen = jnp.arange(llama.capacity)[None, :] <= place

    def attend(layer: int, queries: Any, keys: Any, values: Any) -> tuple[Any, Any, Any]:
        held = lax.dynamic_update_slice(state[2 * layer], keys, (0, 0, place, 0))
        mixed_in = lax.dynamic_update_slice(state[2 * layer + 1], values, (0, 0, place, 0))
        return _attention(llama, queries, held, mixed_in, seen), held, mixed_in

    cosines, sines = (lax.dynamic_slice_in_dim(jnp.asarray(table), place, 1) for table in rotary_tables(llama))
    return _forward(llama, weights, ids, cosines, sines, attend)


def _forward(
    llama: Llama, weights: Mapping[str, Any], ids: Any, cosines: Any, sines: Any, attend: Attend
) -> tuple[Any, ...]:
    """Token ids to (next token, logits of the last place, caches of each layer)."""
    import jax
    import jax.numpy as jnp

    def apply(x: Any, name: str) -> Any:
        return jnp.einsum("...i,oi->...o", x, weights[name])

    def norm(x: Any, name: str) -> Any:
        variance = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        return weights[name] * (x * jax.lax.rsqrt(variance + llama.epsilon))

    def heads(x: Any) -> Any:
        return x.reshape(llama.batch, llama.length, -1, llama.head_width).transpose(0, 2, 1, 3)

    def rotate(x: Any) -> Any:
        first, second = jnp.split(x, 2, axis=-1)
        return jnp.concatenate([first * cosines - second * sines, second * cosines + first * sines], axis=-1)

    hidden = weights[EMBEDDING][ids]
    caches: list[Any] = []
    for layer in range(llama.layers):
        x = norm(hidden, llama.layer(layer, "input_layernorm"))
        queries, keys, values = (heads(apply(x, llama.layer(layer, f"self_attn.{part}_proj"))) for part in "qkv")
        mixed, *new = attend(layer, rotate(queries), rotate(keys), values)
        caches += new
        mixed = mixed.transpose(0, 2, 1, 3).reshape(llama.batch, llama.length, -1)
        hidden = hidden + apply(mixed, llama.layer(layer, "self_attn.o_proj"))
        x = norm(hidden, llama.layer(layer, "post_attention_layernorm"))
        gate = jax.nn.silu(apply(x, llama.layer(layer, "mlp.gate_proj")))
        hidden = hidden + apply(gate * apply(x, llama.layer(layer, "mlp.up_proj")), llama.layer(layer, "mlp.down_proj"))
    logits = apply(norm(hidden[:, -1], LAST_NORM), EMBEDDING)
    return jnp.argmax(logits, axis=-1), logits, *caches


def _attention(llama: Llama, queries: Any, keys: Any, values: Any, seen: Any) -> Any:
    """Softmax attention of grouped heads; `seen` [length, places] says which places a token attends to."""
    import jax
    import jax.numpy as jnp

    grouped = queries.reshape(llama.batch, llama.kv_heads, llama.groups, llama.length, llama.head_width)
    scores = jnp.einsum("bkgld,bkpd->bkglp", grouped, keys) * llama.head_width**-0.5
    shares = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1)
    return jnp.einsum("bkglp,bkpd->bkgld", shares, values).reshape(queries.shape)
