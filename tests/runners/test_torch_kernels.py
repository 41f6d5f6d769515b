"""What the names of torch.profiler's events tell."""

import pytest

from steelyard.adapters.torch_kernels import by_bare_name, device_kernel, kernel, listed_operators

KNOWN = by_bare_name(
    ("prims::convert_element_type", "mylib::add", "aten::add.Tensor", "aten::add.Scalar", "zlib::gelu")
)
ATEN = {name: f"aten.{name}" for name in (
    "add", "addmm", "mm", "var", "mean", "var_mean", "native_layer_norm", "norm", "native", "layer_norm", "gelu",
    "_softmax", "_to_copy", "index_put_", "mul", "view",
)}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "operators"),
    [
        ("add_native_layer_norm", ("add", "native_layer_norm")),
        ("var_mean", ("var_mean",)),
        ("mean_var", ("mean", "var")),
        ("_softmax__to_copy_add", ("_softmax", "_to_copy", "add")),
        ("add_index_put__mul", ("add", "index_put_", "mul")),
        ("gelu", ("gelu",)),
        ("add_my_operator", ()),  # not all of it can be read
        ("mul_add", ()),  # Inductor lists them in alphabetical order
        ("", ()),
    ],
)
def test_operators_are_read_out_of_a_kernels_name(text, operators):
    assert listed_operators(text, ATEN) == operators


def test_operators_have_their_namespaces_and_those_of_aten_come_first():
    assert KNOWN == {"convert_element_type": "prims.convert_element_type", "add": "aten.add", "gelu": "zlib.gelu"}
    found = kernel("cpp_fused_add_convert_element_type_0", KNOWN)
    assert found.sources == ("aten.add", "prims.convert_element_type")


@pytest.mark.parametrize(
    ("name", "kind", "sources"),
    [
        ("aten::addmm", "aten::addmm", ("aten.addmm",)),
        ("mkldnn::_linear_pointwise", "mkldnn::_linear_pointwise", ()),
        ("mylib::attention", "mylib::attention", ("mylib.attention",)),
        ("graph_0_cpp_fused_add_native_layer_norm_3", "cpp_fused", ("aten.add", "aten.native_layer_norm")),
        ("cpp_fused_gelu_12", "cpp_fused", ("aten.gelu",)),
        ("graph_1_cpp_fused_0", "cpp_fused", ()),
        ("graph_0_gemm_m10n8k8_kernel", "cpp", ()),
        ("triton_poi_fused_add_gelu_0", "triton", ("aten.add", "aten.gelu")),
        ("triton_red_fused__softmax_4", "triton", ("aten._softmax",)),
        ("triton_tem_fused_mm_1", "triton", ("aten.mm",)),
        ("triton_mm", "triton", ()),
        ("aoti_torch_cpu_addmm_out", "aoti_torch_cpu_addmm_out", ("aten.addmm",)),
        ("aoti_torch_cpu_mkldnn__linear_pointwise", "aoti_torch_cpu_mkldnn__linear_pointwise", ()),
    ],
)
def test_what_computes_is_a_kernel(name, kind, sources):
    found = kernel(name, ATEN)
    assert (found.name, found.kind, found.sources, found.wrapper) == (name, kind, sources, False)


@pytest.mark.parametrize(
    "name",
    [
        "steelyard: one call",
        "## Call CompiledFxGraph f6qsqknmmdkdnmoxp2 ##",
        "TorchDynamo Cache Lookup",
        "Torch-Compiled Region: 0/0",
        "AOTDispatcher Runtime Wrapper Prologue",
        "Pregraph bytecode",
        "inductor_wrapper_call",
        "autograd::engine::evaluate_function: AddmmBackward0",
        "torch::autograd::AccumulateGrad",
        "AddmmBackward0",
        "cudaLaunchKernel",
        "profiler::_record_function_exit",
    ],
)
def test_what_surrounds_them_is_a_wrapper(name):
    assert kernel(name, ATEN).wrapper


def test_an_accelerators_kernel_is_of_the_operators_that_launched_it():
    library = device_kernel("sm90_xmma_gemm_f32f32", ["aten::mm", "aten::addmm"], ATEN)
    assert (library.kind, library.sources) == ("aten::addmm, aten::mm", ("aten.addmm", "aten.mm"))
    own = device_kernel("triton_poi_fused_gelu_0", ["triton_poi_fused_gelu_0"], ATEN)
    assert (own.kind, own.sources) == ("triton", ("aten.gelu",))
    assert device_kernel("Memcpy DtoD (Device -> Device)", [], ATEN).kind == "unknown"
