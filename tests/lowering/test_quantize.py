"""Programs that the runtimes' own tools quantize: smaller, near to what they were, of what they are named after."""

import subprocess
import sys
from pathlib import Path

import pytest
from steelyard.suites import realweights
from steelyard.suites.smoke import SUITE

from steelyard import wire
from steelyard.core.errors import LoweringError, UsageError
from steelyard.core.workload import Selection
from steelyard.engine.lower import facts
from steelyard.lowering.artifacts import Artifacts
from steelyard.lowering.cache import Cache
from steelyard.lowering.calibration import samples_of
from steelyard.lowering.format import format_of, quantization_of
from steelyard.lowering.layers import layer_errors
from steelyard.lowering.request import LoweringRequest, LoweringResponse
from steelyard.lowering.steps import missing, references_step, steps_of, weights_step
from steelyard.lowering.written import written_by

pytestmark = pytest.mark.backends
pytest.importorskip("nncf")
pytest.importorskip("torchao")

STATIC = ("onnx@int8", "openvino@int8", "pt2@int8")
WEIGHTS = ("onnx@int4_weights", "openvino@int4_weights")
FORMATS = ("onnx", "openvino", "pt2", *STATIC, *WEIGHTS)
POOL = 2


def points(*workloads: str, suite=SUITE):
    return suite.points(Selection(device_kind="cpu", workloads=workloads))


def lowered(directory: Path, *workloads: str, forms: tuple[str, ...] = FORMATS, suite=SUITE):
    directory.mkdir(exist_ok=True)
    asked = LoweringRequest(
        points=points(*workloads, suite=suite), formats=forms, cache=str(directory / "cache"), pool=POOL
    )
    (directory / "request.json").write_bytes(wire.encode(asked))
    ends = [str(directory / f"{name}.json") for name in ("request", "response")]
    command = [sys.executable, "-m", "steelyard.lowering", *ends]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    response = wire.read(directory / "response.json", LoweringResponse)
    assert not response.failures
    return {point.point.workload: point for point in response.points}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("quantized")


@pytest.fixture(scope="module")
def made(place):
    return lowered(place, "convolutions", "generation")


@pytest.mark.parametrize("form", STATIC)
def test_convolutions_in_eight_bits_are_a_quarter_and_each_layer_is_near_to_what_it_was(made, form):
    program = made["convolutions"].programs["main"]
    artifact, plain = program.artifacts[form], program.artifacts[form.partition("@")[0]]
    assert artifact.weight_bytes < 0.4 * plain.weight_bytes
    assert artifact.details["quantized"]
    errors = artifact.details["layer_errors"]
    assert len(errors) == 8  # five convolutions and three products
    assert all(0 < error < 0.5 for error in errors.values())
    assert facts(made["convolutions"]).layer_errors[f"main/{form}"] == errors


@pytest.mark.parametrize("form", [*STATIC, *WEIGHTS])
def test_both_programs_of_a_decoder_are_quantized_and_the_second_on_what_its_calls_get(made, form):
    for role in ("prefill", "decode"):
        program = made["generation"].programs[role]
        assert program.artifacts[form].details["quantized"], program.failures.get(form)
        assert program.artifacts[form].inputs == program.artifacts[form.partition("@")[0]].inputs


@pytest.mark.full
def test_a_file_of_an_operator_set_without_axes_gets_scales_per_channel(tmp_path):
    made = lowered(tmp_path, "text_boxes", forms=("onnx", "onnx@int8"), suite=realweights.SUITE)
    artifacts = made["text_boxes"].programs["main"].artifacts
    assert artifacts["onnx"].details["opset"] == 12
    assert artifacts["onnx@int8"].weight_bytes < 0.4 * artifacts["onnx"].weight_bytes


def test_a_decoder_is_calibrated_on_every_step_of_its_answers(made, place):
    (point,), cache = points("generation"), Cache(place / "cache")
    entry = cache.find("points", references_step(point, POOL, written_by(point, point.sources)).key)
    weights = {key: cache.find("weights", weights_step(point, each).key) for key, each in point.weights.items()}
    steps = samples_of(point, "decode", entry, weights)()
    prompt, tokens = point.settings["prompt"], point.settings["tokens"]
    assert [int(step["position"][0]) for step in steps] == [prompt + at for at in range(tokens - 1)] * POOL
    assert len({step["input_ids"].item() for step in steps}) > 1
    assert all(
        step[spec.name].any() for step in steps for spec in point.programs["decode"].inputs if spec.role == "state"
    )
    assert len(samples_of(point, "prefill", entry, weights)()) == POOL


def test_what_holds_nothing_that_a_tool_quantizes_is_a_failure_that_says_so(made):
    told = made["convolutions"].programs["main"].failures["onnx@int4_weights"]
    assert "nothing that ONNX Runtime quantizes so" in told


def test_a_quantized_form_waits_for_its_plain_one_and_for_samples_and_fails_with_it():
    artifacts = object.__new__(Artifacts)
    artifacts._made, artifacts._failures, artifacts._samples = {}, {"openvino": "no such operator"}, None
    assert artifacts._is_to_wait("onnx@int8_weights")  # its plain form is not made yet
    with pytest.raises(LoweringError, match="no such operator"):
        artifacts._is_to_wait("openvino@int8_weights")
    artifacts._made = {"onnx": object()}
    assert artifacts._is_to_wait("onnx@int8")  # nothing to calibrate on
    assert not artifacts._is_to_wait("onnx@int8_weights")
    assert not artifacts._is_to_wait("onnx@23")
    artifacts._samples = list
    assert not artifacts._is_to_wait("onnx@int8")


def test_what_was_calibrated_is_made_again_for_another_pool_and_weights_alone_are_not(made, place):
    cache = Cache(place / "cache")
    left = {
        pool: [
            step.makes for step in missing(steps_of(points("convolutions"), FORMATS, platform="cpu", pool=pool), cache)
        ]
        for pool in (POOL, POOL + 1)
    }
    failed = ["onnx@int4_weights"]
    assert sorted(left[POOL]) == failed
    assert sorted(left[POOL + 1]) == sorted([*failed, *STATIC, "references"])


def test_a_format_that_is_no_quantization_has_none():
    assert quantization_of("onnx") is None
    assert quantization_of("onnx@23") is None
    assert quantization_of("onnx@int8") == (format_of("onnx")[0].quantizations["int8"], "onnx")
    with pytest.raises(UsageError, match="onnx@int4_weights"):
        format_of("onnx@int2")


def test_the_error_of_a_layer_is_relative_and_only_of_layers_that_both_have():
    import numpy as np

    plain = {"a": np.array([3.0, 4.0]), "b": np.zeros(2), "c": np.ones(3), "d": np.ones(2)}
    other = {"a": np.array([3.0, 4.5]), "b": np.zeros(2), "c": np.ones(2)}
    assert layer_errors(plain, other) == {"a": 0.1}


def test_a_quantized_artifact_holds_its_weights_itself(made):
    for form in (*STATIC, *WEIGHTS):
        assert "weights.safetensors" not in made["generation"].programs["decode"].artifacts[form].files
