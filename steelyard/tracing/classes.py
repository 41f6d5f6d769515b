"""Classes of operators, the same for every runtime. Data: which of a runtime's words for an operator is which class."""

import re
from collections.abc import Iterator, Mapping

from steelyard.core.trace import Kernel

_WORDS = {
    "matmul": "mm addmm bmm baddbmm matmul linear mv dot dot_general addmv addbmm mkl_linear linear_pointwise gemm "
    "fusedmatmul fusedgemm matmulnbits fullyconnected batchmatmul matmulinteger qlinearmatmul dynamicquantizematmul "
    "inner_product einsum ynn_dot",
    "convolution": "conv conv1d conv2d conv3d convolution convolution_overrideable convolution_pointwise "
    "mkldnn_convolution fusedconv convtranspose conv_transpose2d thnn_conv2d slow_conv2d_forward groupconvolution "
    "deconvolution convolution_backward nhwcfusedconv cudnn_convolution cudnn_convolution_relu miopen_convolution "
    "cudnn_convolution_add_relu cudnn_convolution_transpose miopen_convolution_transpose miopen_depthwise_convolution",
    "attention": "scaled_dot_product_attention scaled_dot_product_flash_attention "
    "scaled_dot_product_flash_attention_for_cpu scaled_dot_product_efficient_attention scaledattn "
    "scaledattnwithkvcache scaleddotproductattention attention multiheadattention groupqueryattention flash_attention "
    "scaled_dot_product_attention_math flash_attention_forward efficient_attention_forward cudnn_attention_forward "
    "scaled_dot_product_cudnn_attention flash_attention_backward efficient_attention_backward",
    "recurrent": "lstm gru rnn rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell mkldnn_rnn_layer "
    "lstmsequence grusequence rnnsequence lstmcell grucell rnncell dynamicquantizelstm cudnn_rnn miopen_rnn",
    "normalisation": "layer_norm native_layer_norm layernormalization skiplayernormalization "
    "skipsimplifiedlayernormalization simplifiedlayernormalization embedlayernormalization batch_norm "
    "native_batch_norm batchnormalization batch_norm_impl_index native_batch_norm_legit "
    "native_batch_norm_legit_no_training group_norm native_group_norm groupnorm groupnormalization instance_norm "
    "instancenormalization rms_norm fused_rms_norm rms rmsnorm rmsnormalization mvn var_mean lrn normalizel2 "
    "native_batch_norm_backward native_layer_norm_backward cudnn_batch_norm miopen_batch_norm "
    "cudnn_batch_norm_backward",
    "reduction": "sum mean max min amax amin argmax argmin prod var std norm softmax log_softmax logsumexp cumsum "
    "cumprod any all reduce reduce_window reducesum reducemean reducemax reducemin reduceprod reducel2 topk sort "
    "max_pool2d max_pool2d_with_indices avg_pool2d adaptive_avg_pool2d mean_dim maxpool averagepool globalaveragepool "
    "globalmaxpool pooling cross_entropy_loss nll_loss nll_loss_forward logsoftmax softmax_backward_data "
    "log_softmax_backward_data select_and_scatter max_pool2d_with_indices_backward count_nonzero",
    "embedding": "embedding embedding_bag embedding_dense_backward gather index index_select take take_along_dim "
    "gatherelements gathernd scatter scatter_add index_add index_put index_copy scatterelements scatternd embeddingbag "
    "one_hot onehot scatterupdate scatterelementsupdate scatterndupdate",
    "elementwise": "add sub mul div pow neg abs exp log log1p expm1 sqrt rsqrt reciprocal sigmoid tanh relu gelu silu "
    "swish hardswish hardsigmoid leaky_relu leakyrelu elu hardtanh clamp clip clamp_min clamp_max where select_n "
    "maximum minimum erf sin cos tan atan2 round floor ceil sign eq ne lt le gt ge equal less greater lessorequal "
    "greaterorequal not and or xor logical_not logical_and logical_or logical_xor bitwise_and bitwise_not bitwise_or "
    "bitwise_xor addcmul addcdiv add_relu remainder fmod rsub sub_ subtract multiply divide exponential negate power "
    "compare select eltwise subgraph quickgelu fastgelu biasgelu softplus mish prelu threshold_backward gelu_backward "
    "sigmoid_backward tanh_backward silu_backward masked_fill masked_fill_ relu_ add_ mul_ div_ sub_ sigmoid_ dropout "
    "rotaryembedding rope fakequantize quantizelinear dequantizelinear addsub lerp Max Min Sum Mean",
    "layout": "copy copy_ clone contiguous to _to_copy convert cast aten::select aten.select "
    "view _unsafe_view reshape reshape_ _reshape_alias expand permute transpose t "
    "unsqueeze squeeze flatten unflatten slice slice_ narrow split split_with_sizes chunk cat concat stack pad "
    "constant_pad_nd as_strided movedim swapaxes repeat tile roll flip reverse broadcast broadcast_to "
    "broadcast_in_dim bitcast bitcast_convert concatenate dynamic_slice dynamic_update_slice reorder reorderinput "
    "reorderoutput transposed stridedslice variadicsplit split_v repeat_interleave unsqueeze_ detach alias lift_fresh "
    "unbind unfold im2col pixel_shuffle depthtospace spacetodepth upsample_nearest2d interpolate resize copy_start "
    "copy_done slice_backward select_backward resolve_conj resolve_neg expandv identity",
    "control": "while call conditional if loop scan item _local_scalar_dense is_nonzero custom_call parameter "
    "constant tuple get_tuple_element iota arange full zeros ones empty empty_like zeros_like ones_like fill_ zero_ "
    "full_like empty_strided new_zeros new_empty new_full scalar_tensor rng rand randn random shape range "
    "nnpack_available result_type constantofshape input output result assign readvalue memoryinput memoryoutput "
    "tensoriterator",
}
OF_WORD: Mapping[str, str] = {word: name for name, words in _WORDS.items() for word in words.split()}
OVERHEAD, IDLE, UNKNOWN = "overhead", "idle", "unknown"
CLASSES = (*_WORDS, OVERHEAD, IDLE, UNKNOWN)
"""In the order in which they are shown. `overhead` is what the runtime spends around kernels, `idle` is where nothing
that it tells of ran, and `unknown` are kernels whose word is in no table: they are listed by name."""
_MEANINGS = {
    OVERHEAD: "runtime overhead",
    IDLE: "nothing recorded",
    UNKNOWN: "unknown operators",
    "layout": "copies and layout",
}
_RULING = (
    "matmul",
    "convolution",
    "attention",
    "recurrent",
    "normalisation",
    "reduction",
    "embedding",
    "elementwise",
    "layout",
)
"""Of a kernel that holds several operators, the class is the first of these that any of them has."""
_GENERATED = ("fusion", "cpp_fused", "cpp", "triton")
_HOLDING = ("subgraph",)
"""Kinds of kernels that may hold anything: what did end in one tells more."""
_PREFIX = re.compile(r"^(?:[a-z0-9_]+::|aten\.|prims\.|com\.microsoft\.)")


def class_of(kernel: Kernel) -> str:
    """The class of a kernel: by its own kind, else by the operators that ended in it, else, of one that a compiler has
    generated and named after what is in it, by the words of its name. Of a kind that may hold anything, those operators
    come first."""
    if kernel.wrapper:
        return OVERHEAD
    own = _of_word(kernel.kind)
    if own is not None and kernel.kind.lower() not in _HOLDING:
        return own
    made = kernel.kind.partition(" ")[0] in _GENERATED
    for words in (kernel.sources, _parts(kernel.name) if made else ()):
        found = {each for word in words if (each := _of_word(word)) is not None}
        if found:
            return next((name for name in _RULING if name in found), "control")
    return own or UNKNOWN


def name_of(operator_class: str) -> str:
    """A class in a reader's words."""
    return _MEANINGS.get(operator_class, operator_class)


def _of_word(word: str) -> str | None:
    """`aten::_softmax`, `LayerNormalization` and `reduce-window` are words of one table. A word of two operators stands
    there as it is spelled: PyTorch's select is a view and HLO's a choice, ONNX's Sum adds and PyTorch's sum reduces."""
    whole = word.strip()
    if spelled := OF_WORD.get(whole) or OF_WORD.get(".".join(whole.split(".")[:2])):
        return spelled
    plain = _PREFIX.sub("", word.strip()).partition(".")[0].replace("-", "_")
    return OF_WORD.get(plain) or OF_WORD.get(plain.strip("_")) or OF_WORD.get(plain.strip("_").lower())


def _parts(name: str) -> Iterator[str]:
    """The longest words of the table in a name like `cpp_fused_add_native_layer_norm_3`, from left to right."""
    words = name.lower().replace("-", "_").split("_")
    at = 0
    while at < len(words):
        for length in range(len(words) - at, 0, -1):
            joined = "_".join(words[at : at + length])
            if joined in OF_WORD:
                yield joined
                at += length - 1
                break
        at += 1
