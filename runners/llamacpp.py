"""llama.cpp on CPUs, through the C interface of llama-cpp-python: decoders of the suite `llm` as GGUF files.

The runtime keeps the KV cache itself, one stream for each sequence of a batch. A call clears what lies from its
position on, decodes a batch and picks the best token of each sequence, as the program does. Keys are rotated in another
order of a head's elements than in transformers: arrays that are put in or read out are brought into the other's.
"""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters.bound import artifact_of
from steelyard.adapters.llamacpp_binding import Context, LlamaBinding
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import MissingPackage, SteelyardError
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.workload import Program

_PACKAGE = "llama-cpp-python"


class _Loaded(Executable):
    """One program: llama.cpp's model, called with prompts or with single tokens."""

    def __init__(self, runner: "LlamaCpp", program: Program, artifact: Artifact) -> None:
        self.program, self._runner, self._artifact = program, runner, artifact
        self.model: Any = None

    @property
    def library(self) -> Any:
        """See `llamacpp_binding.Opened`."""
        return self._runner.library

    @property
    def threads(self) -> int:
        """See `llamacpp_binding.Opened`."""
        return self._runner.context.threads_a_call

    def compile(self) -> None:
        """Open the file, or take the model that another program has opened: nothing is compiled."""
        self.model = self._runner.opened(Path(self._artifact.directory) / self._artifact.entry)

    def bind(self, inputs: Arrays) -> Binding:
        if self.model is None:
            raise SteelyardError(f"program '{self.program.name}': compile() must come before bind()")
        return LlamaBinding(self, inputs)

    def proof(self) -> Proof:
        """The threads of a context, and what llama.cpp says of the model and of the machine."""
        library = self.library
        context = Context(self, 1)
        threads = library.llama_n_threads(context.handle)
        context.free()
        told = ctypes.create_string_buffer(256)
        library.llama_model_desc(self.model, told, len(told))
        description = told.value.decode(errors="replace")
        types = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
        dtype = types.get(description.rsplit(" ", 1)[-1], "")
        return Proof(
            runtime="llama.cpp",
            versions=_versions(),
            platform="cpu",
            dtype=dtype or self.program.dtype,
            threads=threads,
            placement={"CPU": library.llama_model_n_layer(self.model)},
            mismatches=() if dtype else (f"the model's weights are of several types: {description}",),
            budget={
                "inter_op": "operators run one after the other",
                "waiting": untold("llama.cpp does not tell how its threads wait"),
                "matrix_precision": untold("llama.cpp does not tell what a product of its types adds up in"),
                "tf32": "not on a CPU",
                "denormals": untold("llama.cpp does not tell, and runs no program but models"),
            },
            details={"model": description, "machine": library.llama_print_system_info().decode(errors="replace")},
        )

    def memory(self) -> Mapping[str, Reading]:
        return {"planned_bytes": absent("B", "llama.cpp tells the size of its buffers in its log alone")}

    @property
    def execution_mode(self) -> Mapping[str, str]:
        return {
            "weights": "mapped from the file",
            "kv_cache": "kept by the runtime",
            "attention": "without flash attention",
        }

    @property
    def options(self) -> Mapping[str, Any]:
        kind = self.program.dtype
        return {"type_k": kind, "type_v": kind, "flash_attn": "disabled", "n_threads": self.threads}


class LlamaCpp(Runner):
    """llama.cpp, by the functions of `llama.h`."""

    formats = ("gguf",)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"flash_attn": "disabled"},
        "max": {"flash_attn": "disabled"},
    }
    requirements = (_PACKAGE,)
    keeps_cache = ""
    idle = "only where it is named, as in --backend all,llamacpp"
    citation = Citation(
        key="llamacpp",
        title="llama.cpp",
        authors=("Gerganov, Georgi", "The ggml contributors"),
        year=2023,
        url="https://github.com/ggml-org/llama.cpp",
    )

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.check_options(context.backend)
        self.library: Any = None
        self._models: dict[tuple[int, int], Any] = {}

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether the library is here. Raises UsageError for options that do not exist."""
        cls.check_options(backend)
        try:
            import llama_cpp  # noqa: F401
        except ImportError:
            return Availability(available=False, reason=str(MissingPackage(_PACKAGE, "llamacpp")))
        return Availability(available=True, versions=_versions(), devices=("cpu",))

    def start(self) -> None:
        """Import the library, which logs to standard error."""
        try:
            import llama_cpp
        except ImportError as error:
            raise MissingPackage(_PACKAGE, "llamacpp") from error
        self.library = llama_cpp
        llama_cpp.llama_backend_init()

    def opened(self, file: Path) -> Any:
        """The model in a file, whose links are one model."""
        entry = file.stat()
        key = (entry.st_dev, entry.st_ino)
        if key not in self._models:
            wanted = self.library.llama_model_default_params()
            wanted.n_gpu_layers = 0
            model = self.library.llama_model_load_from_file(str(file).encode(), wanted)
            if not model:
                raise SteelyardError(f"llama.cpp cannot load {file.name}; the launch's log has its reason")
            self._models[key] = model
        return self._models[key]

    def load(self, program: LoweredProgram) -> _Loaded:
        """Find the file; it is read when it is compiled."""
        return _Loaded(self, program.program, artifact_of(program, "gguf"))


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {_PACKAGE: version(_PACKAGE)}


RUNNERS = {"llamacpp": LlamaCpp}
