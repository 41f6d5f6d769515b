"""Kernels of the suite `kernels` that compute: by PyTorch, by numpy, by C that is compiled when it is needed."""

import ctypes
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from torch import Tensor

SOFTMAX = """
#include <math.h>
void softmax(const float *x, float *y, long rows, long width) {
    for (long row = 0; row < rows; row++, x += width, y += width) {
        float largest = -INFINITY, sum = 0;
        for (long i = 0; i < width; i++) largest = x[i] > largest ? x[i] : largest;
        for (long i = 0; i < width; i++) sum += y[i] = expf(x[i] - largest);
        for (long i = 0; i < width; i++) y[i] /= sum;
    }
}
"""


@cache
def library() -> ctypes.CDLL:
    """The shared library of SOFTMAX."""
    source = Path(mkdtemp()) / "kernel.c"
    source.write_text(SOFTMAX)
    built = source.with_suffix(".so")
    flags = ["-O2", "-shared", "-fPIC", str(source), "-o", str(built), "-lm"]
    subprocess.run([shutil.which("cc") or "cc", *flags], check=True)
    return ctypes.CDLL(str(built))


def softmax(x: Tensor) -> Tensor:
    """In C."""
    y = torch.empty_like(x)
    places = (ctypes.c_void_p(tensor.data_ptr()) for tensor in (x, y))
    library().softmax(*places, *(ctypes.c_long(extent) for extent in x.shape))
    return y


def layer_norm(x: Tensor, *, weight: Tensor, bias: Tensor) -> Tensor:
    """With weights."""
    centred = x - x.mean(-1, keepdim=True)
    return centred * (centred.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * weight + bias


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """In numpy."""
    return torch.from_numpy(np.matmul(a.numpy(), b.numpy()))


def lstm_cell(
    x: Tensor, hidden: Tensor, cell: Tensor, *, of_input: Tensor, of_hidden: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """With two outputs."""
    enter, forget, new, leave = (x @ of_input.T + hidden @ of_hidden.T + bias).chunk(4, dim=-1)
    cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * cell.tanh(), cell
