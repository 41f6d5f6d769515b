"""ONNX Runtime's providers: what each is given and what of it is read back. No accelerator is needed."""

import dataclasses

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

from steelyard.adapters.onnxruntime_provider import PROVIDERS, provider_of
from steelyard.core.backend import Device, parse_backend
from steelyard.core.errors import Unsupported, UsageError
from steelyard.plugins import runner
from tests.runners import toy_decoder as toy

pytestmark = pytest.mark.backends
GPU = {"cuda": "cuda", "tensorrt": "cuda", "migraphx": "rocm", "coreml": "mps"}


def context(name, tmp_path, **budget):
    host = toy.context(f"onnxruntime:{name}", tmp_path, **budget)
    return dataclasses.replace(host, device=Device(kind=GPU[name], index=1, name="a GPU", memory_bytes=1 << 36))


def options(name, tmp_path, **budget):
    return runner("onnxruntime")(context(name, tmp_path, **budget)).provider_options()


def test_each_device_has_a_provider_of_its_own():
    for kind, name in (("cpu", "CPU"), ("cuda", "CUDA"), ("rocm", "MIGraphX"), ("mps", "CoreML")):
        assert provider_of(parse_backend("onnxruntime"), kind).name == f"{name}ExecutionProvider"
    assert provider_of(parse_backend("onnxruntime:tensorrt"), "cuda").name == "TensorrtExecutionProvider"
    with pytest.raises(Unsupported, match="use --device rocm"):
        provider_of(parse_backend("onnxruntime:migraphx"), "cuda")
    with pytest.raises(UsageError, match="did you mean 'tensorrt'"):
        provider_of(parse_backend("onnxruntime:tensort"), "cuda")


def test_providers_are_those_that_onnxruntime_knows():
    import onnxruntime

    assert {provider.name for provider in PROVIDERS.values()} <= set(onnxruntime.get_all_providers())


def test_graphs_are_off_by_name_and_the_device_is_named(tmp_path):
    assert options("cuda", tmp_path)["enable_cuda_graph"] == "0"
    assert options("tensorrt", tmp_path)["trt_cuda_graph_enable"] == "0"
    for name in ("cuda", "tensorrt", "migraphx"):
        assert options(name, tmp_path)["device_id"] == "1"


def test_the_tunings_differ_where_a_provider_can_search(tmp_path):
    for name, key in (("tensorrt", "trt_builder_optimization_level"), ("migraphx", "migraphx_exhaustive_tune")):
        assert options(name, tmp_path)[key] != options(name, tmp_path, tuning="max")[key]


def test_a_cap_of_memory_is_given_or_refused(tmp_path):
    cap = {"memory_cap_bytes": 1 << 30, "memory_cap_by": "runtime"}
    assert options("cuda", tmp_path, **cap)["gpu_mem_limit"] == str(1 << 30)
    assert options("migraphx", tmp_path, **cap)["migraphx_mem_limit"] == str(1 << 30)
    for name in ("tensorrt", "coreml"):
        with pytest.raises(Unsupported, match="leave --memory-cap out"):
            options(name, tmp_path, **cap)


@pytest.mark.parametrize("name", ["cuda", "tensorrt", "migraphx", "coreml"])
def test_what_is_given_is_strict_and_a_loose_session_is_told(name, tmp_path):
    provider, given = PROVIDERS[name], options(name, tmp_path)
    assert provider.loose(given) == ()
    switches = provider.narrow or ("use_tf32",)
    for switch in switches:
        assert given[switch] == "0"
        (said,) = provider.loose({**given, switch: "1"})
        assert switch in said or "TF32" in said


def test_tf32_is_read_back_or_untold_and_never_guessed():
    assert PROVIDERS["cpu"].tf32({}) == "no such type on a CPU"
    assert (PROVIDERS["cuda"].tf32({"use_tf32": "0"}), PROVIDERS["cuda"].tf32({"use_tf32": "1"})) == ("off", "allowed")
    for name in ("tensorrt", "migraphx"):
        told = PROVIDERS[name].tf32({})
        assert told["value"] is None
        assert told["reason"]


def test_no_clock_of_the_device_is_claimed(tmp_path):
    from steelyard.adapters.onnxruntime_binding import DeviceBound

    with pytest.raises(Unsupported, match="no events"):
        DeviceBound.device_seconds(object.__new__(DeviceBound))
