"""Which changes of a history are measured again, and with which version."""

from types import SimpleNamespace

import pytest

from steelyard.service.confirming import _older


@pytest.mark.parametrize("arm", ["onnxruntime", "onnxruntime@night"])
def test_the_old_version_of_a_backend_in_an_environment_of_its_own_is_measured_again_too(arm):
    change = SimpleNamespace(series=SimpleNamespace(arm=arm), versions={"onnxruntime": ("1.32.0", "1.24.4")})
    assert _older(change) == "1.32.0"
    same = SimpleNamespace(series=SimpleNamespace(arm=arm), versions={"libc": ("glibc 2.36", "glibc 2.41")})
    assert _older(same) is None
