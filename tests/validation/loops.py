"""The smallest loop that times a program in each runtime's best execution mode, written by hand.

Nothing here comes from a runner: each function takes the lowered program, sets the runtime up as its own
documentation says, and returns a loop that times calls. docs/execution-modes.md shows the functions as they
stand here and explains them line by line; a test holds the page to them.
"""

# They are read on that page, where annotations of inner functions would be noise.
# mypy: disable-error-code="no-untyped-def,misc"

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns as clock
from typing import Any

import numpy as np

from steelyard.core.lowered import LoweredProgram

Array = np.ndarray[Any, np.dtype[Any]]
Loop = Callable[[int], tuple[list[int], Sequence[Any]]]
"""Makes so many calls, in rotation over the pool; nanoseconds of each, and the outputs of the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a loop is given. Inputs and outputs stand in the program's order, state last on both sides."""

    lowered: LoweredProgram
    pool: Sequence[Sequence[Array]]
    threads: int

    @property
    def data(self) -> int:
        """How many inputs are no state: they come first."""
        return sum(spec.role == "data" for spec in self.lowered.program.inputs)

    @property
    def new(self) -> int:
        """How many outputs a call creates: all but the state that also goes in, which comes last."""
        inputs, outputs = self.lowered.program.inputs, self.lowered.program.outputs
        return len(outputs) - (len(inputs) - self.data)

    def file(self, form: str) -> Path:
        """The file to open of the artifact in a format."""
        artifact = self.lowered.artifacts[form]
        return Path(artifact.directory) / artifact.entry


def check_order(work: Work) -> None:
    """Raises ValueError unless state is last on both sides and in the same order, which the loops rely on."""
    program = work.lowered.program
    state = [spec.name for spec in program.inputs[work.data :]]
    if state != [spec.name for spec in program.outputs[work.new :]] or any(
        spec.role != "data" for spec in program.inputs[: work.data]
    ):
        raise ValueError(f"program '{program.name}': the hand-written loops need its state last and in one order")


def eager_loop(work: Work) -> Loop:
    import torch

    from steelyard.lowering.source import build_module

    torch.set_num_threads(work.threads)
    torch.set_float32_matmul_precision("highest")
    model = build_module(work.lowered.program, work.lowered.weights_file, in_place=True)
    pool = [[torch.tensor(array) for array in arrays] for arrays in work.pool]

    def loop(calls):
        samples = []
        with torch.inference_mode():
            for index in range(calls):
                arguments, outputs = pool[index % len(pool)], None
                start = clock()
                outputs = model(*arguments)
                samples.append(clock() - start)
        return samples, outputs

    return loop


def inductor_loop(work: Work) -> Loop:
    import torch

    from steelyard.lowering.source import build_module

    torch.set_num_threads(work.threads)
    torch.set_float32_matmul_precision("highest")
    module = build_module(work.lowered.program, work.lowered.weights_file, in_place=True)
    pool = [[torch.tensor(array) for array in arrays] for arrays in work.pool]

    @torch.compile(fullgraph=True, dynamic=False)
    def model(*arguments):
        return module(*arguments)[: work.new]

    def loop(calls):
        samples = []
        with torch.inference_mode():
            for index in range(calls):
                arguments, outputs = pool[index % len(pool)], None
                start = clock()
                outputs = model(*arguments)
                samples.append(clock() - start)
        return samples, [*outputs, *arguments[work.data :]]

    return loop


def xla_loop(work: Work) -> Loop:
    import jax
    import jax.export
    from safetensors import safe_open

    jax.config.update("jax_default_matmul_precision", "highest")
    exported = jax.export.deserialize(bytearray(work.file("stablehlo").read_bytes()))
    with safe_open(work.lowered.weights_file, framework="numpy") as file:
        names = work.lowered.artifacts["stablehlo"].details["weights"]
        weights = tuple(jax.device_put(file.get_tensor(name)) for name in names)
    pool = [[jax.device_put(array.copy()) for array in arrays] for arrays in work.pool]
    state = tuple(range(1 + work.data, 1 + len(pool[0])))
    model = jax.jit(exported.call, donate_argnums=state).lower(weights, *pool[0]).compile()

    def loop(calls):
        samples = []
        for index in range(calls):
            arguments, outputs = pool[index % len(pool)], None
            start = clock()
            outputs = model(weights, *arguments)
            jax.block_until_ready(outputs)
            samples.append(clock() - start)
            arguments[work.data :] = outputs[work.new :]
        return samples, outputs

    return loop


def iree_loop(work: Work) -> Loop:
    import iree.compiler
    import iree.runtime
    from safetensors import safe_open

    flags = ["--iree-opt-level=O2", "--iree-llvmcpu-target-cpu=host"]
    module = work.file("stablehlo").with_name("program.mlirbc").read_bytes()
    made = iree.compiler.compile_str(module, input_type="stablehlo", target_backends=["llvm-cpu"], extra_args=flags)
    iree.runtime.flags.parse_flags(f"--task_topology_group_count={work.threads}")
    driver = iree.runtime.get_driver("local-task" if work.threads > 1 else "local-sync")
    device, instance = driver.create_default_device(), iree.runtime.VmInstance()
    program = iree.runtime.VmModule.copy_buffer(instance, made)
    modules = [iree.runtime.create_hal_module(instance, device), program]
    context, main = iree.runtime.VmContext(instance, modules=modules), program.lookup_function("main")
    with safe_open(work.lowered.weights_file, framework="numpy") as file:
        names = work.lowered.artifacts["stablehlo"].details["weights"]
        weights = [iree.runtime.asdevicearray(device, file.get_tensor(name)) for name in names]
    types = work.lowered.artifacts["stablehlo"].details["input_dtypes"]
    pool = [
        [iree.runtime.asdevicearray(device, array.astype(dtype)) for array, dtype in zip(arrays, types, strict=True)]
        for arrays in work.pool
    ]
    outputs = len(work.lowered.program.outputs)
    view = iree.runtime.HalBufferView

    def given(arrays):
        arguments = iree.runtime.VmVariantList(len(weights) + len(arrays))
        for array in weights + arrays:
            arguments.push_ref(array._buffer_view)
        return arguments

    lists = [given(arrays) for arrays in pool]

    def loop(calls):
        samples = []
        for index in range(calls):
            place, results = index % len(pool), None
            results = iree.runtime.VmVariantList(outputs)
            start = clock()
            context.invoke(main, lists[place], results)
            samples.append(clock() - start)
            found = [iree.runtime.DeviceArray(device, results.get_as_object(each, view)) for each in range(outputs)]
            if found[work.new :]:
                pool[place][work.data :] = found[work.new :]
                lists[place] = given(pool[place])
        return samples, [each.to_host().copy() for each in found]

    return loop


def onnxruntime_loop(work: Work) -> Loop:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = work.threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(work.file("onnx"), options, providers=["CPUExecutionProvider"])
    pool = []
    for arrays in work.pool:
        inputs = [array.copy() for array in arrays]
        outputs = [np.zeros(spec.shape, spec.dtype) for spec in work.lowered.program.outputs[: work.new]]
        given = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in inputs]
        made = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in outputs]
        binding = session.io_binding()
        for port, value in zip(session.get_inputs(), given, strict=True):
            binding.bind_ortvalue_input(port.name, value)
        for port, value in zip(session.get_outputs(), made + given[work.data :], strict=True):
            binding.bind_ortvalue_output(port.name, value)
        pool.append((binding, inputs, outputs))

    def loop(calls):
        samples = []
        for index in range(calls):
            binding, inputs, outputs = pool[index % len(pool)]
            start = clock()
            session.run_with_iobinding(binding)
            samples.append(clock() - start)
        return samples, outputs + inputs[work.data :]

    return loop


def openvino_loop(work: Work) -> Loop:
    import openvino

    config = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": work.threads,
        "ENABLE_CPU_PINNING": True,
        "INFERENCE_PRECISION_HINT": "f32",
        "KV_CACHE_PRECISION": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
    }
    model = openvino.Core().compile_model(work.file("openvino"), "CPU", config)
    pool = []
    for arrays in work.pool:
        inputs = [array.copy() for array in arrays]
        outputs = [np.zeros(spec.shape, spec.dtype) for spec in work.lowered.program.outputs[: work.new]]
        given = [openvino.Tensor(array, shared_memory=True) for array in inputs]
        made = [openvino.Tensor(array, shared_memory=True) for array in outputs]
        request = model.create_infer_request()
        for index, tensor in enumerate(given):
            request.set_input_tensor(index, tensor)
        for index, tensor in enumerate(made + given[work.data :]):
            request.set_output_tensor(index, tensor)
        pool.append((request, inputs, outputs))

    def loop(calls):
        samples = []
        for index in range(calls):
            request, inputs, outputs = pool[index % len(pool)]
            start = clock()
            request.start_async()
            request.wait()
            samples.append(clock() - start)
        return samples, outputs + inputs[work.data :]

    return loop


LOOPS: Mapping[str, Callable[[Work], Loop]] = {
    "eager": eager_loop,
    "inductor": inductor_loop,
    "xla": xla_loop,
    "onnxruntime": onnxruntime_loop,
    "openvino": openvino_loop,
    "iree": iree_loop,
}
