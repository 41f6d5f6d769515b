"""How a session of ONNX Runtime is opened: on its provider or not at all, with its own threads counted."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steelyard.core.errors import FellBack, Unsupported

TELLS: Mapping[str, str] = {
    "compilation": "steelyard.adapters.onnxruntime_compilation",
    "memory": "steelyard.adapters.onnxruntime_memory",
}
"""See `Runner.tells`."""
_OUTSIDE = "session.optimized_model_external_initializers"
_ERROR = 3


def options_of(threads: int, tuning: Mapping[str, Any], config: Mapping[str, str]) -> Any:
    """A fresh `SessionOptions` with a tuning and its configuration entries, for so many threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    level = getattr(onnxruntime.GraphOptimizationLevel, tuning["graph_optimization"], None)
    if level is None:
        raise Unsupported(f"ONNX Runtime {onnxruntime.__version__} has no level {tuning['graph_optimization']}")
    options.graph_optimization_level = level
    options.enable_cpu_mem_arena = tuning["cpu_arena"]
    options.enable_mem_pattern = tuning["memory_pattern"]
    for key, value in config.items():
        options.add_session_config_entry(key, value)
    return options


def profiled(options: Any, prefix: Path | None, optimised: Path | None) -> Any:
    """The same options, with the profiler where the path of its file has a beginning, and so that the graph that is
    executed is written where it has a path, its weights beside it."""
    if prefix is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(prefix)
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
        options.add_session_config_entry(f"{_OUTSIDE}_file_name", f"{optimised.stem}.weights")
        options.add_session_config_entry(f"{_OUTSIDE}_min_size_in_bytes", "1024")
        options.log_severity_level = _ERROR  # it warns that the file is for this machine alone
    return options


def opened(
    entry: Path, options: Any, provider: str, provider_options: Mapping[str, str], program: str
) -> tuple[Any, int | None]:
    """A session, and how many threads execute one of its operators; None where the system does not list threads.

    Raises Unsupported where the provider has no kernel, and FellBack where it does not take every node.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    with _no_collection():
        before = _own_threads()
        try:
            session = onnxruntime.InferenceSession(
                entry,
                options,
                providers=[(provider, provider_options)],
                enable_fallback=0,  # else an error of the provider is printed and the work moves to the CPU
                read_config_from_model=0,
            )
        except native.NotImplemented as error:
            raise Unsupported(f"ONNX Runtime {onnxruntime.__version__} has no kernel on {provider}: {error}") from error
        except (native.Fail, native.EPFail) as error:
            if "fallback to CPU EP has been explicitly disabled" in str(error):
                raise FellBack(f"{provider} does not take every node of '{program}': {error}") from error
            raise
        after = _own_threads()
    if provider not in session.get_providers():
        raise FellBack(f"asked for {provider}, the session has {', '.join(session.get_providers())}")
    # The pool's threads live as long as the session; the caller works too.
    return session, None if before is None or after is None else after - before + 1


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage is collected meanwhile: a session in it would end its threads while those of another are counted."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _own_threads() -> int | None:
    """Threads of this process; None where the system does not list them."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else None
