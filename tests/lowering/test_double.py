"""Reference arithmetic: whatever asks for a narrower type computes in float64."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from steelyard.lowering.double import double_arithmetic  # noqa: E402


def test_casts_and_types_among_arguments_are_float64():
    x = torch.randn(3, dtype=torch.float64)
    with double_arithmetic():
        found = (x.float(), x.to(torch.bfloat16), x.sum(dtype=torch.float32), torch.zeros(2, dtype=torch.float16))
    assert {value.dtype for value in found} == {torch.float64}


@pytest.mark.parametrize("given", ["table", "weight", "image"])
def test_a_product_of_float64_with_what_a_module_keeps_as_float32_is_float64(given):
    table, weight = torch.randn(4, 8), torch.randn(8, 8, dtype=torch.float64)
    image, kernel = torch.randn(1, 2, 4, 4), torch.randn(3, 2, 1, 1, dtype=torch.float64)
    with double_arithmetic():
        found = {
            "table": lambda: (functional.linear(table, weight), table.double() @ weight.T),
            "weight": lambda: (weight @ table.T, weight @ table.double().T),
            "image": lambda: (functional.conv2d(image, kernel), functional.conv2d(image.double(), kernel)),
        }[given]()
    assert found[0].dtype == torch.float64
    assert torch.equal(*found)


def test_what_is_float32_alone_stays_it():
    x = torch.randn(2, 2)
    with double_arithmetic():
        assert (x @ x).dtype == torch.float32
