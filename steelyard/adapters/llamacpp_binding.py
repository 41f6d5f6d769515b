"""A batch of sequences in llama.cpp: their context, which keeps the KV cache, and one input set bound to it."""

import ctypes
from typing import Any, Protocol

from steelyard.adapters.llamacpp_state import Layout, packed, unpacked
from steelyard.core.errors import SteelyardError, UsageError, unknown_name
from steelyard.core.runner import Arrays, Binding
from steelyard.core.workload import Program

_TYPES = {"float32": 0, "float16": 1, "bfloat16": 30}
"""Numbers of ggml's types (`ggml_type`)."""


class Opened(Protocol):
    """A program whose model is open, with llama.cpp's functions and the threads that a call has."""

    program: Program
    model: Any

    @property
    def library(self) -> Any:
        """The module `llama_cpp`."""

    @property
    def threads(self) -> int:
        """Of each call."""


class Context:
    """A context of llama.cpp: the memory of a batch of sequences, and the threads that compute it."""

    def __init__(self, loaded: Opened, tokens: int) -> None:
        import numpy as np

        self.library = library = loaded.library
        state = next(spec for spec in loaded.program.outputs if spec.role == "state")
        self.batch, heads, self.capacity, width = state.shape
        wanted = library.llama_context_default_params()
        wanted.n_ctx, wanted.n_seq_max = self.batch * self.capacity, self.batch
        wanted.n_batch = max(tokens * self.batch, 1)
        wanted.n_threads = wanted.n_threads_batch = loaded.threads
        wanted.type_k = wanted.type_v = _TYPES[state.dtype]
        wanted.flash_attn_type = library.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.handle = library.llama_init_from_model(loaded.model, wanted)
        if not self.handle:
            raise SteelyardError("llama.cpp could not make a context")
        self.memory = library.llama_get_memory(self.handle)
        dtype: Any = np.dtype(np.uint16 if state.dtype == "bfloat16" else state.dtype)
        layers = sum(spec.role == "state" for spec in loaded.program.outputs) // 2
        self.layout = Layout(
            streams=self.batch,
            layers=layers,
            heads=heads,
            width=width,
            dtype=dtype,
            number=_TYPES[state.dtype],
            transposed=True,
        )

    def drop_from(self, position: int) -> None:
        """Forget the cells of all sequences from a position on."""
        for sequence in range(self.batch):
            self.library.llama_memory_seq_rm(self.memory, sequence, position, -1)

    def cells(self, sequence: int) -> bytes:
        """See `llamacpp_state`."""
        size = self.library.llama_state_seq_get_size(self.handle, sequence)
        data = (ctypes.c_uint8 * size)()
        self.library.llama_state_seq_get_data(self.handle, data, size, sequence)
        return bytes(data)

    def put(self, sequence: int, data: bytes) -> None:
        """Replace the cells of a sequence. Raises SteelyardError where llama.cpp does not take them."""
        taken = self.library.llama_state_seq_set_data(
            self.handle, (ctypes.c_uint8 * len(data)).from_buffer_copy(data), len(data), sequence
        )
        if taken != len(data):
            raise SteelyardError(f"llama.cpp took {taken} of the {len(data)} B of a given KV cache")

    def free(self) -> None:
        """Let go of it."""
        self.library.llama_free(self.handle)


class LlamaBinding(Binding):
    """`run` is one `llama_decode` of a batch, and the choice of each sequence's best token."""

    def __init__(self, loaded: Opened, inputs: Arrays) -> None:
        program = loaded.program
        missing = sorted({spec.name for spec in program.inputs} - set(inputs))
        if missing:
            raise UsageError(f"program '{program.name}': no value for the inputs {', '.join(missing)}")
        self._program, self._library = program, loaded.library
        ids = inputs["input_ids"]
        self._sequences, self._tokens = ids.shape
        self._own = self._context = Context(loaded, self._tokens)
        self._state = [spec.name for spec in program.outputs if spec.role == "state"]
        self._given = {name: inputs[name].copy() for name in self._state if name in inputs}
        self._vocabulary = next(spec.shape[1] for spec in program.outputs if spec.name == "logits")
        self._batch = self._library.llama_batch_init(ids.size, 0, 1)
        self._batch.n_tokens = ids.size
        for place in range(ids.size):
            self._batch.n_seq_id[place] = 1
            self._batch.seq_id[place][0] = place // self._tokens
            self._batch.logits[place] = place % self._tokens == self._tokens - 1
        self._position = 0
        self._best: Any = None
        self.update({name: array for name, array in inputs.items() if name not in self._given})
        if self._given:
            self._restore()

    def run(self) -> None:  # noqa: D102
        import numpy as np

        context = self._context
        context.drop_from(self._position)
        if status := self._library.llama_decode(context.handle, self._batch):
            raise SteelyardError(f"llama_decode ended with {status}")
        self._best = [int(np.argmax(self._logits(sequence))) for sequence in range(self._sequences)]

    def _logits(self, sequence: int) -> Any:
        """A view of llama.cpp's own memory, which the next call overwrites."""
        import numpy as np

        last = (sequence + 1) * self._tokens - 1
        pointer = self._library.llama_get_logits_ith(self._context.handle, last)
        return np.ctypeslib.as_array(pointer, shape=(self._vocabulary,))

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        """See `Binding`; places of the cache that no call has written are as they were given, or zero."""
        import numpy as np

        specs = {spec.name: spec for spec in self._program.outputs}
        found: dict[str, Any] = {}
        for name in specs if names is None else names:
            if name not in specs:
                raise unknown_name("output", name, specs)
            if name == "next_token":
                found[name] = np.array(self._best, np.int64)
            elif name == "logits":
                logits = np.stack([self._logits(sequence) for sequence in range(self._sequences)])
                found[name] = logits.astype(specs[name].dtype) if specs[name].dtype != "bfloat16" else _narrow(logits)
        if wanted := [name for name in (specs if names is None else names) if name in self._state]:
            found |= self._cells(wanted)
        return found

    def _cells(self, wanted: list[str]) -> dict[str, Any]:
        import numpy as np

        layout, context = self._context.layout, self._context
        shape = (self._sequences, layout.heads, context.capacity, layout.width)
        found = {
            name: self._given[name].view(layout.dtype).copy() if name in self._given else np.zeros(shape, layout.dtype)
            for name in wanted
        }
        for sequence in range(self._sequences):
            positions, keys, values = unpacked(context.cells(sequence), layout)
            parts = [part for pair in zip(map(halves, keys), values, strict=True) for part in pair]
            for name, part in zip(self._state, parts, strict=True):
                if name in found:
                    found[name][sequence][:, positions] = part.transpose(1, 0, 2)
        dtype = self._program.dtype
        return {name: _as_bfloat16(array) if dtype == "bfloat16" else array for name, array in found.items()}

    def _restore(self) -> None:
        """Put the given state in, up to the position."""
        layout = self._context.layout
        arrays = [self._given[name].view(layout.dtype) for name in self._state]
        for sequence in range(self._sequences):
            cells = [array[sequence][:, : self._position].transpose(1, 0, 2) for array in arrays]
            keys, values = [pairs(each) for each in cells[0::2]], cells[1::2]
            self._context.put(sequence, packed(sequence, keys, values, layout))

    def settle(self) -> None:
        """Nothing: the state is the context's."""

    def update(self, inputs: Arrays) -> None:
        """See `Binding`: tokens, and the position of the first."""
        for name, array in inputs.items():
            if name == "input_ids":
                for place, token in enumerate(array.reshape(-1).tolist()):
                    self._batch.token[place] = token
            elif name == "position":
                self._position = int(array[0])
            else:
                raise unknown_name("input", name, ("input_ids", "position"))
        for place in range(self._batch.n_tokens):
            self._batch.pos[place] = self._position + place % self._tokens

    def adopt(self, source: Binding) -> None:
        """See `Binding`: go on in the source's context. No copy."""
        if not isinstance(source, LlamaBinding):
            raise UsageError(f"a {type(self).__name__} cannot take state from a {type(source).__name__}")
        self._context, self._given = source._context, {}

    def close(self) -> None:
        """Let go of the context that was made for it, and of its batch."""
        self._own.free()
        self._library.llama_batch_free(self._batch)


def pairs(keys: Any) -> Any:
    """Keys [..., width] of transformers in the order in which llama.cpp rotates them: element 0, width/2, 1, ..."""
    return keys.reshape(*keys.shape[:-1], 2, keys.shape[-1] // 2).swapaxes(-1, -2).reshape(keys.shape)


def halves(keys: Any) -> Any:
    """The inverse of `pairs`."""
    return keys.reshape(*keys.shape[:-1], keys.shape[-1] // 2, 2).swapaxes(-1, -2).reshape(keys.shape)


def _as_bfloat16(bits: Any) -> Any:
    import ml_dtypes

    return bits.view(ml_dtypes.bfloat16)


def _narrow(logits: Any) -> Any:
    import ml_dtypes

    return logits.astype(ml_dtypes.bfloat16)
