"""The original torch module with transformers' own StaticCache: `Native` eager, `NativeCompiled` through Inductor.

The backends `eager` and `inductor` call the same module with the suite's cache of plain tensors and an explicit mask.
Here the model is called as transformers' documentation does: `past_key_values` is a cache object that lives as long
as its binding, counts its own length, and makes the mask from it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from steelyard.adapters.torch_binding import Call
from steelyard.adapters.torch_executable import TorchExecutable
from steelyard.adapters.torch_module import TorchRunner
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import Arrays, Binding, Executable
from steelyard.core.workload import Program, TensorSpec
from tests.validation.llama import Llama, llama_of
from tests.validation.native import NativeRunner

PATH = "tests.validation.native_torch:Native"
COMPILED_PATH = "tests.validation.native_torch:NativeCompiled"


class Native(NativeRunner):
    """The backend `eager` with transformers' StaticCache."""

    of: ClassVar[str] = "eager"

    def load(self, program: LoweredProgram) -> Executable:
        """Build the model; programs of one launch share its weights. Raises Unsupported for what is no Llama."""
        runner: Any = self.inner
        return NativeExecutable(runner, program.program, _model(runner, program))


class NativeCompiled(NativeRunner):
    """The backend `inductor` with transformers' StaticCache."""

    of: ClassVar[str] = "inductor"

    def load(self, program: LoweredProgram) -> Executable:
        """As `Native`."""
        runner: Any = self.inner
        return CompiledExecutable(runner, program.program, _model(runner, program))


def _model(runner: TorchRunner, program: LoweredProgram) -> Any:
    """transformers' model for causal language modelling on the runner's device, weights mapped from the file."""
    llama_of(program.program)
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from steelyard.lowering.source import load_weights

    values = {name: value for name, value in program.program.arguments["config"].items() if name != "model_type"}
    config = AutoConfig.for_model("llama", **values)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    model.load_state_dict(load_weights(program.weights_file), strict=False, assign=True)
    model.tie_weights()
    # Its buffers are in no file: made once more, this time on the CPU.
    model.model.rotary_emb = type(model.model.rotary_emb)(config=config)
    return runner.share(model.eval().requires_grad_(False), program.weights_file)


class NativeBinding(Binding):
    """Token ids and position, and a StaticCache of the binding's own.

    A cache given to `bind` is set back to its position after each call, so that calls repeat; one that was adopted
    grows from call to call.
    """

    def __init__(self, executable: "NativeExecutable", inputs: Sequence[Any], state: Sequence[Any]) -> None:
        self._call, self._program, self._llama = executable.step, executable.program, executable.llama
        self._ids, *rest = inputs
        self._positions = rest[0][None] if rest else executable.positions
        self._cache = _cache(self._llama, state)
        self._repeats, self._lent = True, False
        self._start = self._length = int(self._positions[0, 0])
        self._rewind(self._start)
        self._result: Sequence[Any] | None = None

    def run(self) -> None:
        self._result = self._call(self._ids, self._positions, self._cache)

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        if self._result is None:
            raise SteelyardError("outputs were asked for outside run() and settle(): call run() first")
        state = [part for layer in self._cache.layers for part in (layer.keys, layer.values)]
        found = dict(zip((spec.name for spec in self._program.outputs), (*self._result, *state), strict=True))
        return {name: found[name].numpy().copy() for name in (found if names is None else names)}

    def settle(self) -> None:
        if self._result is not None:
            self._length += self._llama.length
        self._result = None
        if self._repeats:
            self._rewind(self._start)
        if self._lent:  # whoever adopted the cache wrote beyond the prompt
            for layer in self._cache.layers:
                layer.keys[:, :, self._llama.length :].zero_()
                layer.values[:, :, self._llama.length :].zero_()
            self._lent = False

    def update(self, inputs: Arrays) -> None:
        import torch

        for name, array in inputs.items():
            if name == "input_ids":
                self._ids.copy_(torch.from_numpy(array))
            elif name == "position":
                self._positions.fill_(int(array[0]))
                self._start = int(array[0])
                if self._start != self._length:
                    self._rewind(self._start)
            else:
                raise UsageError(f"input '{name}' cannot be updated alone: bind it")

    def adopt(self, source: Binding) -> None:
        """Use the cache object of the other binding."""
        if not isinstance(source, NativeBinding):
            raise SteelyardError(f"a StaticCache cannot be taken from a {type(source).__name__}")
        self._cache, self._repeats, source._lent = source._cache, False, True
        self._length = source._length + source._llama.length

    def close(self) -> None:
        self._result = self._cache = None

    def _rewind(self, position: int) -> None:
        for layer in self._cache.layers:
            layer.cumulative_length.fill_(position)
        self._length = position


class NativeExecutable(TorchExecutable):
    """The model called as it is."""

    def __init__(self, runner: TorchRunner, program: Program, model: Any) -> None:
        super().__init__(runner, program, model)
        import torch

        self.program, self.llama = program, llama_of(program)
        self.positions = torch.arange(self.llama.length)[None]
        self.step: Call = _step(model)

    def compile(self) -> None:
        """One call with zeros, which compiles what compiles on its first call."""
        inputs = {spec.name: _zeros(spec) for spec in self._program.inputs}
        binding = self._bind(inputs)
        binding.run()
        found = binding.read()
        for spec in self._program.outputs:
            if found[spec.name].shape != spec.shape:
                raise SteelyardError(
                    f"{self._where}: output '{spec.name}' is {list(found[spec.name].shape)}, not {list(spec.shape)}"
                )
        self._seen[str(self._runner.device)] += len(found)
        binding.close()
        self._call = self.step

    def bind(self, inputs: Arrays) -> Binding:  # type: ignore[override]
        """See `Executable`."""
        if self._call is None:
            raise SteelyardError(f"{self._where}: compile() must come before bind()")
        return self._bind(inputs)

    def _bind(self, inputs: Arrays) -> NativeBinding:
        tensors = self._place(inputs)
        data = sum(spec.role == "data" for spec in self._program.inputs)
        return NativeBinding(self, tensors[:data], tensors[data:])

    @property
    def execution_mode(self) -> Mapping[str, str]:
        return {"weights": "module parameters", "kv_cache": "transformers' StaticCache, in place"}


class CompiledExecutable(NativeExecutable):
    """The call through `torch.compile`, one graph, static shapes, the options of the backend `inductor`."""

    def __init__(self, runner: Any, program: Program, model: Any) -> None:
        import torch

        super().__init__(runner, program, model)
        self._compiler = runner
        self.step = torch.compile(
            self.step,
            backend=runner.translator(),
            fullgraph=True,
            dynamic=False,
            options=dict(runner.compile_options()) or None,
            isolate_recompiles=True,
        )

    def compile(self) -> None:
        """As of `NativeExecutable`; what compiles here was asked for."""
        before = self._compiler.counters()["compilations"]
        super().compile()
        self._compiler.asked_compilations += self._compiler.counters()["compilations"] - before

    @property
    def options(self) -> Mapping[str, Any]:
        return {**super().options, "options": dict(self._compiler.compile_options())}

    def _trouble(self) -> tuple[int | None, int | None]:
        now = self._compiler.counters()
        return now["graph_breaks"], now["compilations"] - self._compiler.asked_compilations


def _step(model: Any) -> Call:
    """Token ids, positions and a cache to the next token and the logits of the last place."""
    import torch

    def step(ids: Any, positions: Any, cache: Any) -> tuple[Any, Any]:
        answer = model(input_ids=ids, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits = answer.logits[:, -1]
        return torch.argmax(logits, dim=-1), logits

    return step


def _cache(llama: Llama, state: Sequence[Any]) -> Any:
    """A StaticCache of full capacity on the given tensors, or on zeros.

    Made by hand, because the class marks the tensors that it makes itself as ones whose address a compiled call may
    rely on: each binding's cache would be compiled for anew.
    """
    import torch
    from transformers.cache_utils import Cache, StaticLayer

    shape = (llama.batch, llama.kv_heads, llama.capacity, llama.head_width)
    tensors = list(state) or [torch.zeros(shape) for _ in range(2 * llama.layers)]
    layers = []
    for keys, values in zip(tensors[0::2], tensors[1::2], strict=True):
        layer = StaticLayer(max_cache_len=llama.capacity)
        layer.keys, layer.values = keys, values
        layer.dtype, layer.device = keys.dtype, keys.device
        layer.batch_size, layer.num_heads = llama.batch, llama.kv_heads
        layer.k_head_dim = layer.v_head_dim = llama.head_width
        layer.is_initialized = True
        layers.append(layer)
    return Cache(layers=layers)


def _zeros(spec: TensorSpec) -> Any:
    import numpy as np

    return np.zeros(spec.shape, spec.dtype)
