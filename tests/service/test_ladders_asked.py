"""`--ladder`: which backends it names, against which baseline, and what is refused."""

import pytest

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.service.asked import request_of


def test_the_rungs_are_measured_against_the_first():
    request = request_of(ladder=["onnxruntime[level=disabled],onnxruntime[level=basic],onnxruntime"])
    assert request.backends == ("onnxruntime[level=disabled]", "onnxruntime[level=basic]", "onnxruntime")
    assert request.baseline == "onnxruntime[level=disabled]"
    assert request.ladders == (request.backends,)


def test_backends_beside_a_ladder_are_measured_too_and_none_twice():
    request = request_of(ladder=["eager,inductor"], backends=["inductor,xla"], baseline="xla")
    assert request.backends == ("eager", "inductor", "xla")
    assert request.baseline == "xla"


def test_without_a_ladder_all_backends_are_measured_against_eager():
    request = request_of()
    assert (request.backends, request.baseline, request.ladders) == (("all",), "eager", ())


def test_a_backend_with_a_ladder_of_its_own_stands_for_it():
    request = request_of(ladder=["onnxruntime", "inductor"])
    assert [rungs[-1] for rungs in request.ladders] == ["onnxruntime", "inductor[freezing,max_autotune]"]
    assert request.baseline == "onnxruntime[level=disabled]"


@pytest.mark.parametrize("name", [name for name, kind in plugins.runners().items() if kind.ladder])
def test_the_ladders_of_runners_name_backends_that_there_are(name):
    for rung in plugins.runner(name).ladder:
        spec = plugins.backend(rung)
        plugins.runner(spec.runner).check_options(spec)


def test_spellings_of_one_backend_are_one():
    with pytest.raises(UsageError, match="two different backends or more"):
        request_of(ladder=["inductor[freezing,max_autotune],inductor[max_autotune,freezing=true]"])


def test_a_backend_without_a_ladder_is_answered_with_those_that_have_one():
    with pytest.raises(
        UsageError, match=r"'eager' has no ladder of its own: .*inductor, iree, onnxruntime, tvm_untuned, xla"
    ):
        request_of(ladder=["eager"])


def test_values_of_an_axis_are_a_ladder_of_every_backend():
    request = request_of(ladder=["batch=1,2,4"], backends=["eager,xla"])
    assert request.ladders == (("batch=1", "batch=2", "batch=4"),)
    assert request.selection.axes["batch"] == ("1", "2", "4")
    assert (request.backends, request.baseline) == (("eager", "xla"), "eager")


@pytest.mark.parametrize("text", ["batch=1", "batch=2,2"])
def test_an_axis_needs_two_values(text):
    with pytest.raises(UsageError, match="two different values or more"):
        request_of(ladder=[text])


def test_a_ladder_and_set_do_not_name_values_of_one_axis_twice():
    with pytest.raises(UsageError, match="leave --set batch out"):
        request_of(ladder=["batch=1,2"], axes={"batch": ("1", "4")})
