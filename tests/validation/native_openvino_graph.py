"""The operators of the stateful OpenVINO Llama. Written so that the CPU plugin's own fusions find them."""

from typing import Any

from tests.validation.llama import EMBEDDING, LAST_NORM, Llama, Weights, read_weights, rotary_tables

BEAMS = "beam_idx"
_HIDDEN = -3.4e38  # added to the score of a place that a token does not attend to


def build(llama: Llama, weights_file: str) -> Any:
    """A model of (input_ids [batch, length], position [1], beam_idx [batch]) to (next_token, logits); the cache is its
    variables `cache.LAYER.k` and `.v`, [batch, kv_heads, places, head_width]. Places and length are dynamic."""
    import numpy as np
    import openvino
    from openvino import opset15 as ops

    ids = ops.parameter([llama.batch, -1], np.int64, name="input_ids")
    position = ops.parameter([1], np.int64, name="position")
    beams = ops.parameter([-1], np.int32, name=BEAMS)
    graph = _Graph(llama, read_weights(weights_file), beams, _angles(llama, ids, position))
    hidden = ops.gather(graph.weight(EMBEDDING), ids, 0)
    for layer in range(llama.layers):
        hidden = ops.add(hidden, graph.attention(layer, graph.norm(hidden, llama.layer(layer, "input_layernorm"))))
        x = graph.norm(hidden, llama.layer(layer, "post_attention_layernorm"))
        gate = ops.swish(graph.linear(x, llama.layer(layer, "mlp.gate_proj")))
        inner = ops.multiply(gate, graph.linear(x, llama.layer(layer, "mlp.up_proj")))
        hidden = ops.add(hidden, graph.linear(inner, llama.layer(layer, "mlp.down_proj")))
    last = ops.gather(hidden, np.int64(-1), 1)
    logits = graph.linear(graph.norm(last, LAST_NORM), EMBEDDING)
    best = ops.topk(logits, np.int64(1), -1, "max", "value", index_element_type="i64").output(1)
    token = ops.reshape(best, np.array([llama.batch]), False)
    results = [ops.result(token), ops.result(logits)]
    return openvino.Model(results, graph.sinks, [ids, position, beams], "llama")


def _angles(llama: Llama, ids: Any, position: Any) -> tuple[Any, Any, Any]:
    """Cosines and sines [1, 1, length, head_width] at the call's positions, and the mask [1, 1, length, places]."""
    import numpy as np
    from openvino import opset15 as ops

    zero, one = np.int64(0), np.int64(1)
    start = ops.squeeze(position, zero)
    end = ops.add(start, ops.gather(ops.shape_of(ids), one, 0))
    positions = ops.range(start, end, one, "i64")
    found = []
    for table in rotary_tables(llama):
        both = ops.constant(np.concatenate([table, table], axis=1))
        found.append(ops.unsqueeze(ops.gather(both, positions, 0), np.array([0, 1])))
    places = ops.unsqueeze(ops.range(zero, end, one, "i64"), zero)
    seen = ops.less_equal(places, ops.unsqueeze(positions, one))
    mask = ops.select(seen, np.float32(0), np.float32(_HIDDEN))
    return found[0], found[1], ops.unsqueeze(mask, np.array([0, 1]))


class _Graph:
    """Builds the parts of a layer; `sinks` are the assignments of the variables made so far."""

    def __init__(self, llama: Llama, weights: Weights, beams: Any, angles: tuple[Any, Any, Any]) -> None:
        self._llama, self._weights, self._beams = llama, weights, beams
        self._cosines, self._sines, self._mask = angles
        self._constants: dict[str, Any] = {}
        self.sinks: list[Any] = []

    def weight(self, name: str) -> Any:
        """A constant, once for all its uses."""
        from openvino import opset15 as ops

        if name not in self._constants:
            self._constants[name] = ops.constant(self._weights[name], shared_memory=True)
        return self._constants[name]

    def linear(self, x: Any, name: str) -> Any:
        """x W^T."""
        from openvino import opset15 as ops

        return ops.matmul(x, self.weight(name), False, True)

    def norm(self, x: Any, name: str) -> Any:
        """The root-mean-square norm."""
        import numpy as np
        from openvino import opset15 as ops

        mean = ops.reduce_mean(ops.power(x, np.float32(2)), np.array([-1]), True)
        root = ops.sqrt(ops.add(mean, np.float32(self._llama.epsilon)))
        return ops.multiply(ops.multiply(x, ops.divide(np.float32(1), root)), self.weight(name))

    def attention(self, layer: int, x: Any) -> Any:
        """Attention over the layer's variables, with the new keys and values appended to them."""
        import numpy as np
        from openvino import opset15 as ops

        llama = self._llama
        queries, keys, values = (
            self._heads(self.linear(x, llama.layer(layer, f"self_attn.{part}_proj"))) for part in "qkv"
        )
        held = self._grown(f"cache.{layer}.k", self._rotate(keys))
        mixed_in = self._grown(f"cache.{layer}.v", values)
        mixed = ops.scaled_dot_product_attention(self._rotate(queries), held, mixed_in, self._mask)
        flat = np.array([llama.batch, -1, llama.heads * llama.head_width])
        joined = ops.reshape(ops.transpose(mixed, np.array([0, 2, 1, 3])), flat, False)
        return self.linear(joined, llama.layer(layer, "self_attn.o_proj"))

    def _heads(self, x: Any) -> Any:
        import numpy as np
        from openvino import opset15 as ops

        split = ops.reshape(x, np.array([0, 0, -1, self._llama.head_width]), True)
        return ops.transpose(split, np.array([0, 2, 1, 3]))

    def _rotate(self, x: Any) -> Any:
        import numpy as np
        from openvino import opset15 as ops

        halves = ops.variadic_split(x, np.int64(3), np.array([self._llama.head_width // 2, -1]))
        turned = ops.concat([ops.multiply(halves.output(1), np.float32(-1)), halves.output(0)], -1)
        return ops.add(ops.multiply(x, self._cosines), ops.multiply(turned, self._sines))

    def _grown(self, name: str, new: Any) -> Any:
        """The variable with `new` appended, on as many heads as there are queries."""
        import numpy as np
        from openvino import opset15 as ops

        llama = self._llama
        empty = np.zeros((llama.batch, llama.kv_heads, 0, llama.head_width), np.float32)
        shape = [llama.batch, llama.kv_heads, -1, llama.head_width]
        past = ops.read_value(ops.constant(empty), name, np.float32, shape)
        grown = ops.concat([ops.gather(past, self._beams, np.int64(0)), new], 2)
        self.sinks.append(ops.assign(grown, name))
        if llama.groups == 1:
            return grown
        every = ops.broadcast(
            ops.unsqueeze(grown, np.int64(2)), np.array([1, 1, llama.groups, 1, 1]), broadcast_spec="BIDIRECTIONAL"
        )
        return ops.reshape(every, np.array([0, llama.heads, -1, llama.head_width]), True)
