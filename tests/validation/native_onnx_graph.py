"""The nodes of the ONNX Llama, written with `onnx` alone; see the operators `com.microsoft` of ONNX Runtime."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.core.hashing import stable_hash
from steelyard.core.lowered import Artifact, LoweredProgram
from tests.validation.llama import EMBEDDING, LAST_NORM, Array, Llama, read_weights, rotary_tables

_OPSET, _IR_VERSION = 21, 10
_FUSED = "com.microsoft"
_ALIGNMENT = 64
_WEIGHTS = "weights.bin"


def write(llama: Llama, program: LoweredProgram, scratch: Path) -> Artifact:
    """A model file and, once for all programs of a launch with the same weights, the weights beside it.

    Linear layers are stored as [inputs, outputs], which is how MatMul takes them.
    """
    import onnx

    folder = scratch / stable_hash(program.weights_file, 12)
    folder.mkdir(exist_ok=True)
    entry = f"{llama.kind}-{llama.batch}-{llama.length}-{llama.capacity}.onnx"
    graph = _Graph(llama, _stored(llama, program.weights_file, folder))
    tensor, helper = onnx.TensorProto, onnx.helper
    kinds = {"float32": tensor.FLOAT, "int64": tensor.INT64}
    inputs = [spec.name for spec in program.program.inputs]
    outputs = [f"next.{spec.name}" if spec.name in inputs else spec.name for spec in program.program.outputs]
    graph.forward(inputs, outputs)
    sides = [
        [
            helper.make_tensor_value_info(name, kinds[spec.dtype], spec.shape)
            for name, spec in zip(ends, specs, strict=True)
        ]
        for ends, specs in ((inputs, program.program.inputs), (outputs, program.program.outputs))
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, llama.kind, *sides, initializer=graph.initializers),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_FUSED, 1)],
        ir_version=_IR_VERSION,
    )
    (folder / entry).write_bytes(model.SerializeToString())
    return Artifact(
        format="onnx",
        directory=str(folder),
        entry=entry,
        sha256="",
        inputs=tuple(spec.name for spec in program.program.inputs),
        outputs=tuple(spec.name for spec in program.program.outputs),
        weight_bytes=(folder / _WEIGHTS).stat().st_size,
        details={"whole_at": {"position": llama.capacity - 1}} if llama.kind == "decode" else {},
    )


Places = Mapping[str, tuple[int, tuple[int, ...]]]
"""Offset in bytes in `weights.bin`, and shape, of each stored array by name."""


def _stored(llama: Llama, weights_file: str, folder: Path) -> Places:
    """Write the arrays, unless an earlier program of the launch has."""
    arrays = _arrays(llama, weights_file)
    places, offset = {}, 0
    for name, array in arrays.items():
        places[name] = (offset, array.shape)
        offset += array.nbytes + -array.nbytes % _ALIGNMENT
    path = folder / _WEIGHTS
    if not path.exists():
        with path.open("wb") as stream:
            for name, array in arrays.items():
                stream.seek(places[name][0])
                stream.write(array.tobytes())
            stream.truncate(offset)
    return places


def _arrays(llama: Llama, weights_file: str) -> dict[str, Array]:
    import numpy as np

    held = read_weights(weights_file)
    found = {"embedding": held[EMBEDDING], "head": held[EMBEDDING].T, "last_norm": held[LAST_NORM]}
    for layer in range(llama.layers):
        part = {name: held[llama.layer(layer, name)] for name in _PARTS}
        packed = np.concatenate([part[f"self_attn.{one}_proj"] for one in "qkv"])
        found |= {
            f"{layer}.norm": part["input_layernorm"],
            f"{layer}.packed": packed.T,
            f"{layer}.out": part["self_attn.o_proj"].T,
            f"{layer}.inner_norm": part["post_attention_layernorm"],
            f"{layer}.gate": part["mlp.gate_proj"].T,
            f"{layer}.up": part["mlp.up_proj"].T,
            f"{layer}.down": part["mlp.down_proj"].T,
        }
    return found


_PARTS = (
    *("input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
)


class _Graph:
    """Collects nodes and initializers. Values are known by their names."""

    def __init__(self, llama: Llama, places: Places) -> None:
        self._llama, self._places = llama, places
        self._count = 0
        self._stored: dict[str, str] = {}
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def forward(self, inputs: list[str], outputs: list[str]) -> None:
        """Nodes from the program's inputs to its outputs."""
        import numpy as np

        llama, decodes = self._llama, self._llama.kind == "decode"
        if decodes:
            last = self._node("Cast", [inputs[1]], to=6)  # int32
            counts = self._node("Expand", [last, self._small("batch", np.array([llama.batch], np.int64))])
            total = self._node("Add", [last, self._small("one", np.array([1], np.int32))])
        else:
            counts = self._small("counts", np.full(llama.batch, llama.length - 1, np.int32))
            total = self._small("total", np.array([llama.length], np.int32))
            shape = (llama.batch, llama.kv_heads, llama.capacity, llama.head_width)
            empty = self._small("empty", np.zeros(shape, np.float32))
        cosines, sines = (self._small(name, table) for name, table in
                          zip(("cosines", "sines"), rotary_tables(llama), strict=True))  # fmt: skip
        hidden = self._node("Gather", [self._weight("embedding"), inputs[0]], axis=0)
        norm = self._node(
            "SimplifiedLayerNormalization",
            [hidden, self._weight("0.norm")],
            axis=-1,
            epsilon=llama.epsilon,
            stash_type=1,
        )
        for layer in range(llama.layers):
            past = inputs[2 + 2 * layer : 4 + 2 * layer] if decodes else [empty, empty]
            mixed = self._node(
                "GroupQueryAttention",
                [self._linear(norm, f"{layer}.packed"), "", "", *past, counts, total, cosines, sines],
                domain=_FUSED,
                outputs=["", *outputs[2 + 2 * layer : 4 + 2 * layer]],
                num_heads=llama.heads,
                kv_num_heads=llama.kv_heads,
                scale=llama.head_width**-0.5,
                do_rotary=1,
                rotary_interleaved=0,
            )
            norm, hidden = self._sum_and_norm(self._linear(mixed, f"{layer}.out"), hidden, f"{layer}.inner_norm")
            gate = self._linear(norm, f"{layer}.gate")
            gate = self._node("Mul", [gate, self._node("Sigmoid", [gate])])
            inner = self._node("Mul", [gate, self._linear(norm, f"{layer}.up")])
            following = "last_norm" if layer == llama.layers - 1 else f"{layer + 1}.norm"
            norm, hidden = self._sum_and_norm(self._linear(inner, f"{layer}.down"), hidden, following)
        end = self._node("Gather", [norm, self._small("end", np.array(llama.length - 1, np.int64))], axis=1)
        logits = self._node("MatMul", [end, self._weight("head")], outputs=[outputs[1]])
        self._node("ArgMax", [logits], outputs=[outputs[0]], axis=-1, keepdims=0)

    def _linear(self, x: str, name: str) -> str:
        return self._node("MatMul", [x, self._weight(name)])

    def _sum_and_norm(self, x: str, hidden: str, name: str) -> tuple[str, str]:
        """The norm of a sum, and the sum, by one operator."""
        total = self._name()
        norm = self._node(
            "SkipSimplifiedLayerNormalization",
            [x, hidden, self._weight(name)],
            domain=_FUSED,
            outputs=["", "", "", total],
            epsilon=self._llama.epsilon,
        )
        return norm, total

    def _node(
        self, kind: str, inputs: list[str], *, domain: str = "", outputs: list[str] | None = None, **attributes: Any
    ) -> str:
        """Add a node. The first output is named here unless it has a name; returns it."""
        import onnx

        first, *rest = outputs or [""]
        first = first or self._name()
        self.nodes.append(onnx.helper.make_node(kind, inputs, [first, *rest], domain=domain, **attributes))
        return first

    def _name(self) -> str:
        self._count += 1
        return f"value/{self._count}"

    def _small(self, name: str, array: Array) -> str:
        """An array inside the model."""
        import onnx

        self.initializers.append(onnx.numpy_helper.from_array(array, name))
        return name

    def _weight(self, name: str) -> str:
        """A stored array, by reference."""
        import onnx

        if name not in self._stored:
            offset, shape = self._places[name]
            length = 4
            for size in shape:
                length *= size
            tensor = onnx.TensorProto(
                name=f"weight/{name}", data_type=onnx.TensorProto.FLOAT, dims=shape,
                data_location=onnx.TensorProto.EXTERNAL,
            )  # fmt: skip
            for key, value in (("location", _WEIGHTS), ("offset", offset), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
            self.initializers.append(tensor)
            self._stored[name] = tensor.name
        return self._stored[name]
