"""Classes of operators: every runtime's words for one thing are in one class."""

import pytest

from steelyard.core.trace import Kernel
from steelyard.tracing.classes import CLASSES, OVERHEAD, UNKNOWN, class_of


def of(kind: str, name: str = "", sources: tuple[str, ...] = (), *, wrapper: bool = False) -> str:
    return class_of(Kernel(name=name, kind=kind, sources=sources, wrapper=wrapper))


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        ("matmul", ["aten::addmm", "Gemm", "MatMul", "FullyConnected", "dot", "mkl::_mkl_linear", "aten.linear"]),
        ("convolution", ["Conv", "Convolution", "aten::cudnn_convolution", "mkldnn::_convolution_pointwise"]),
        ("attention", ["aten::_scaled_dot_product_flash_attention_for_cpu", "GroupQueryAttention"]),
        ("normalisation", ["aten::native_layer_norm", "LayerNormalization", "MVN", "RMS", "SkipLayerNormalization"]),
        ("reduction", ["aten::_softmax", "Softmax", "ReduceMean", "reduce-window", "MaxPool", "TopK"]),
        ("recurrent", ["aten::lstm", "LSTM", "GRU", "LSTMSequence", "mkldnn::_mkldnn_rnn_layer", "RNN"]),
        ("elementwise", ["aten::add", "aten::gelu", "Eltwise", "Subgraph", "Mul", "Erf", "aten::mul_"]),
        ("elementwise", ["aten::hardtanh"]),
        ("layout", ["aten::copy_", "Transpose", "Reorder", "copy", "Concat", "aten::_to_copy"]),
        ("layout", ["aten::_unsafe_view"]),
        ("embedding", ["aten::embedding", "Gather", "gather", "aten::index_copy_"]),
        # one word, two operators: as they are spelled
        ("elementwise", ["select", "Sum", "Max", "Min", "Mean", "maximum"]),
        ("layout", ["aten::select", "aten.select.int", "Cast", "Convert", "convert", "aten::to"]),
        ("reduction", ["aten::sum", "aten::max", "ReduceSum", "aten.mean.dim"]),
    ],
)  # fmt: skip
def test_the_words_of_all_runtimes(wanted, kinds):
    assert {kind: of(kind) for kind in kinds} == dict.fromkeys(kinds, wanted)


def test_a_kernel_of_several_operators_is_the_costliest_of_them():
    assert of("fusion", sources=("aten.add", "aten.addmm", "aten.gelu")) == "matmul"
    assert of("cpp_fused", sources=("aten.add", "aten.native_layer_norm")) == "normalisation"
    assert of("fusion", sources=("aten.view", "aten.mul")) == "elementwise"


def test_without_sources_the_words_of_the_name_tell():
    assert of("fusion", name="transpose_copy_fusion.3") == "layout"
    assert of("fusion", name="multiply_add_fusion") == "elementwise"
    assert of("cpp_fused", name="graph_0_cpp_fused__softmax_add_2") == "reduction"


def test_a_librarys_name_for_a_kernel_tells_nothing():
    """`implicit_gemm` is how cuDNN convolves, and `relu` in a name what it does besides."""
    assert of("vendor::fprop", name="sm90_xmma_fprop_implicit_gemm_f32_relu_cudnn") == UNKNOWN


def test_what_surrounds_kernels_is_overhead_whatever_its_name():
    assert of("aten::addmm", wrapper=True) == OVERHEAD


def test_an_unknown_word_is_unknown_and_in_no_other_class():
    assert of("Frobnicate", name="frobnicate_1") == UNKNOWN
    assert {OVERHEAD, UNKNOWN} < set(CLASSES)
