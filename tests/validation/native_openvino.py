"""A Llama as a stateful OpenVINO model: the cache lives in variables that grow with each call, inside the attention.

The graph is the one that OpenVINO's own tools make of a language model: ReadValue, a Gather that reorders beams, Concat
with the new keys, ScaledDotProductAttention, Assign, all lengths dynamic. The CPU plugin makes one operator of it. One
compiled model serves prefill and decode, and an answer stays in one request.

A variable holds as many places as were computed, so that a call cannot be repeated at its position: between samples the
variables are set anew, after which the next call makes room for one place more and copies. That copy is in the sample
of the workload `decode`; in `generate`, where the cache grows as it does for users, there is none.
"""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from steelyard.core.errors import SteelyardError, UsageError
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.result import Proof
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext
from steelyard.core.workload import Program
from tests.validation.llama import Llama, llama_of
from tests.validation.native import NativeRunner
from tests.validation.native_openvino_graph import BEAMS, build
from tests.validation.wrapped import WrappedExecutable

PATH = "tests.validation.native_openvino:Native"


class Native(NativeRunner):
    """The backend `openvino` with a stateful model built from operators."""

    of: ClassVar[str] = "openvino"

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self._models: dict[tuple[str, int], Executable] = {}

    def load(self, program: LoweredProgram) -> Executable:
        """Build the model, once for all programs of the same weights and batch. Raises Unsupported for no Llama."""
        llama = llama_of(program.program)
        key = (program.weights_file, llama.batch)
        if key not in self._models:
            self._models[key] = self._model(llama, program)
        return _Executable(self, self._models[key], program.program)

    def _model(self, llama: Llama, program: LoweredProgram) -> Executable:
        openvino: Any = self.inner
        without_state = dataclasses.replace(
            program.program,
            inputs=tuple(spec for spec in program.program.inputs if spec.role == "data"),
            outputs=tuple(spec for spec in program.program.outputs if spec.role == "data"),
        )
        artifact = Artifact(
            format="built from operators",
            directory="",
            entry="",
            sha256="",
            inputs=("input_ids", "position", BEAMS),
            outputs=("next_token", "logits"),
            weight_bytes=0,
        )
        model = build(llama, program.weights_file)
        found: Executable = openvino.executable(dataclasses.replace(program, program=without_state), artifact, model)
        return found


class _Executable(WrappedExecutable):
    """One program's use of the shared compiled model."""

    def __init__(self, runner: Native, inner: Executable, program: Program) -> None:
        super().__init__(runner, inner)
        self.model: Any = inner
        self.program, self.llama = program, llama_of(program)

    def compile(self) -> None:
        if self.model.compiled is None:
            self.model.compile()

    def bind(self, inputs: Arrays) -> Binding:
        missing = sorted({spec.name for spec in self.program.inputs} - set(inputs))
        if missing:
            raise UsageError(f"program '{self.program.name}': no value for the inputs {', '.join(missing)}")
        return NativeBinding(self, inputs)

    def proof(self) -> Proof:
        """The compiled model's, and whether its attention holds the cache."""
        found = self.inner.proof()
        nodes = found.details["nodes"]
        attentions, concats = (nodes.get(kind, 0) for kind in ("ScaledDotProductAttention", "Concat"))
        if attentions == self.llama.layers and not concats:
            return found
        what = (
            f"the attention does not hold its cache: {attentions} fused attentions in {self.llama.layers} layers, and "
            f"{concats} Concat nodes that should be inside them"
        )
        return dataclasses.replace(found, mismatches=(*found.mismatches, what))

    @property
    def execution_mode(self) -> Mapping[str, str]:
        return {"weights": "constants", "kv_cache": "stateful, inside the attention", "call": "start_async, wait"}


class NativeBinding(Binding):
    """One request with its variables, which are set back after each call, unless the request was adopted."""

    def __init__(self, executable: _Executable, inputs: Arrays) -> None:
        import numpy as np

        llama, self._program = executable.llama, executable.program
        self._llama = llama
        self._own = self._request = executable.model.compiled.create_infer_request()
        position = inputs.get("position", np.zeros(1, np.int64))
        self._inputs = {
            "input_ids": np.array(inputs["input_ids"]),
            "position": np.array(position),
            BEAMS: np.arange(llama.batch, dtype=np.int32),
        }
        self._results = {
            spec.name: np.zeros(spec.shape, spec.dtype) for spec in self._program.outputs if spec.role == "data"
        }
        self._bound_at = int(position[0])
        self._state = {spec.name: np.array(inputs[spec.name]) for spec in self._program.inputs if spec.role == "state"}
        self._ran = self._lent = False
        self._wire()
        self._set_back()

    def run(self) -> None:
        """See `Binding`."""
        self._request.start_async()
        self._request.wait()
        self._ran = True

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        """See `Binding`; the variables in the program's layout of full capacity."""
        if not self._ran:
            raise SteelyardError("outputs were asked for outside run() and settle(): call run() first")
        wanted = [spec.name for spec in self._program.outputs] if names is None else names
        variables = (
            {each.name: each for each in self._request.query_state()} if set(wanted) - set(self._results) else {}
        )
        return {
            name: self._results[name].copy() if name in self._results else self._full(name, variables[name].state.data)
            for name in wanted
        }

    def settle(self) -> None:
        """See `Binding`."""
        self._ran = False
        if self._request is self._own:
            if self._lent:
                self._wire()
                self._lent = False
            self._set_back()

    def update(self, inputs: Arrays) -> None:
        """See `Binding`. Raises UsageError for another position while the variables are set back after each call."""
        for name, array in inputs.items():
            if name not in self._inputs:
                raise UsageError(f"input '{name}' cannot be updated alone: bind it")
            if name == "position" and self._request is self._own and int(array[0]) != self._bound_at:
                raise UsageError(f"this binding repeats at position {self._bound_at}: adopt a state to move on")
            self._inputs[name][...] = array

    def adopt(self, source: Binding) -> None:
        """Go on with the request of the other binding, whose variables hold the state."""
        if not isinstance(source, NativeBinding):
            raise SteelyardError(f"a request cannot be taken from a {type(source).__name__}")
        self._request, source._lent, self._state = source._request, True, {}
        self._wire()

    def close(self) -> None:
        """See `Binding`."""
        self._request = self._own = None

    def _wire(self) -> None:
        import openvino

        tensor = partial(openvino.Tensor, shared_memory=True)
        self._tensors = [tensor(array) for array in (*self._inputs.values(), *self._results.values())]
        for index in range(len(self._inputs)):
            self._request.set_input_tensor(index, self._tensors[index])
        for index in range(len(self._results)):
            self._request.set_output_tensor(index, self._tensors[len(self._inputs) + index])

    def _set_back(self) -> None:
        """The variables as they were bound: the places before the position."""
        import numpy as np
        import openvino

        if not self._bound_at:
            self._request.reset_state()
            return
        for variable in self._request.query_state():
            rows = np.ascontiguousarray(self._state[variable.name][:, :, : self._bound_at])
            variable.state = openvino.Tensor(rows)

    def _full(self, name: str, rows: Any) -> Any:
        """A cache of full capacity: computed places, and beyond them what was bound, or zeros."""
        import numpy as np

        spec = next(each for each in self._program.outputs if each.name == name)
        full = self._state[name].copy() if name in self._state else np.zeros(spec.shape, spec.dtype)
        full[:, :, : rows.shape[2]] = rows
        return full
