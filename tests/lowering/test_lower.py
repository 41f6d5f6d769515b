"""Lowering end to end: the process, every format in a process of its own runtime, what goes wrong said per point."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard import plugins, wire
from steelyard.contract import program as contract
from steelyard.core.errors import LoweringError, UsageError
from steelyard.core.workload import Selection, TensorSpec
from steelyard.engine.lower import facts
from steelyard.lowering import format as formats
from steelyard.lowering.cache import Cache
from steelyard.lowering.request import LoweringRequest, LoweringResponse, Progress
from steelyard.lowering.steps import missing, steps_of

pytestmark = pytest.mark.backends

HERE = Path(__file__).parent
FORMATS = ("onnx@20", "onnx@23", "stablehlo", "openvino", "pt2", "module")
RUNTIMES = {"onnx": "onnxruntime", "stablehlo": "jax", "openvino": "openvino", "pt2": "torch"}


def lower(directory, points, forms, cache, **given):
    """Run the process; returns its exit code, its response or None, its progress, its stderr."""
    progress = directory / "progress.jsonl"
    stream = progress.open("ab")
    request = LoweringRequest(points=points, formats=forms, cache=str(cache), progress=stream.fileno(), pool=3, **given)
    (directory / "request.json").write_bytes(wire.encode(request))
    answer = directory / "response.json"
    command = [sys.executable, "-m", "steelyard.lowering", str(directory / "request.json"), str(answer)]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    with stream:
        done = subprocess.run(
            command, env=environment, pass_fds=(stream.fileno(),), capture_output=True, text=True, check=False
        )
    steps = [wire.decode(line, Progress, "progress") for line in progress.read_text().splitlines()]
    return done.returncode, wire.read(answer, LoweringResponse) if answer.exists() else None, steps, done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("lowered")


@pytest.fixture(scope="module")
def lowered(place):
    """The contract's point in every format."""
    code, response, steps, said = lower(place, (contract.point(),), FORMATS, place / "cache")
    assert code == 0, said
    assert len({step.step for step in steps}) == len(steps) == steps[0].total
    (point,) = response.points
    assert all(not program.failures for program in point.programs.values())
    return point


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "module"])
def test_each_format_is_right_in_a_process_that_imports_its_runtime_only(lowered, place, form):
    command = [sys.executable, str(HERE / "fresh_process.py"), str(place / "response.json"), "0", form]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    assert found["frameworks"] == [RUNTIMES[form.split("@")[0]]]
    assert found["tokens_agree"]
    assert set(found["errors"]) == {"first_logits", "logits"}
    for name, error in found["errors"].items():
        assert error <= lowered.tolerances[name].limit


def test_artifacts_hold_the_weights_once(lowered):
    stored = sum(array.nbytes for array in contract.weights_arrays().values())
    for program in lowered.programs.values():
        for form, artifact in program.artifacts.items():
            if artifact.weight_bytes != stored:
                assert artifact.weight_note, form
            if form in {"stablehlo", "pt2"}:
                assert artifact.weight_bytes == stored
        assert program.artifacts["stablehlo"].details["weights"] == ["embed.weight", "key.weight"]


def test_an_artifact_does_not_hold_where_the_files_of_this_project_lie(lowered):
    for program in lowered.programs.values():
        artifact = program.artifacts["stablehlo"]
        assert b".py" not in (Path(artifact.directory) / artifact.entry).read_bytes()


def test_torch_counts_the_matrix_products_and_xla_all_operations(lowered):
    batch, width, capacity = contract.BATCH, contract.WIDTH, contract.CAPACITY
    attention, head = 2 * 2 * batch * capacity * width, 2 * batch * width * contract.VOCABULARY
    for role, tokens in (("prefill", contract.PROMPT), ("decode", 1)):
        work = lowered.programs[role].work
        assert set(work) == {"torch", "xla"}
        products = 2 * batch * tokens * width * width + attention + head
        assert work["torch"].flop == products
        assert work["torch"].bytes is None
        assert products <= work["xla"].flop < 2 * products
        assert work["xla"].bytes > 0
    assert {key: count.flop for key, count in facts(lowered).work.items()} == {
        f"{role}/{origin}": lowered.programs[role].work[origin].flop
        for role in ("prefill", "decode")
        for origin in ("torch", "xla")
    }


def test_a_program_that_was_not_lowered_to_stablehlo_has_no_count_by_xla_and_says_so(tmp_path):
    _, response, _, _ = lower(tmp_path, (contract.point(),), ("module",), tmp_path / "cache")
    work = response.points[0].programs["prefill"].work
    assert work["xla"].flop is None
    assert "not lowered to StableHLO" in work["xla"].reason
    assert work["torch"].flop > 0


def test_references_and_identity(lowered):
    assert len(lowered.pool) == 3
    assert len({entry.inputs for entry in lowered.pool}) == 3
    assert all(dataclasses.astuple(lowered.identity))
    assert all(tolerance.floor < 1e-6 < tolerance.limit for tolerance in lowered.tolerances.values())


def test_a_second_run_makes_nothing_anew_and_gives_the_same(lowered, place, tmp_path):
    _, response, steps, _ = lower(tmp_path, (contract.point(),), FORMATS, place / "cache")
    assert all(step.cached for step in steps)
    assert dataclasses.replace(response.points[0], seconds=0) == dataclasses.replace(lowered, seconds=0)
    steps = {pool: steps_of((contract.point(),), FORMATS, platform="cpu", pool=pool) for pool in (3, 4)}
    assert {step.makes for step in steps[3]} == {*FORMATS, "weights", "references"} - {"module"}
    assert not missing(steps[3], Cache(place / "cache"))
    assert [step.makes for step in missing(steps[4], Cache(place / "cache"))] == ["references"]


def test_a_damaged_artifact_is_rebuilt(lowered, place, tmp_path):
    artifact = lowered.programs["decode"].artifacts["pt2"]
    file = Path(artifact.directory) / artifact.entry
    file.write_bytes(file.read_bytes()[:100])
    _, response, steps, _ = lower(tmp_path, (contract.point(),), FORMATS, place / "cache")
    assert [step.label for step in steps if not step.cached] == ["decode as pt2"]
    assert not response.points[0].programs["decode"].failures


def changed(point, role, **fields):
    programs = {**point.programs, role: dataclasses.replace(point.programs[role], **fields)}
    return dataclasses.replace(point, programs=programs)


def test_what_fails_is_said_per_point_and_the_rest_goes_on(tmp_path):
    good = contract.point()
    weights = good.programs["prefill"].weights

    def with_weights(source, title):
        other = dataclasses.replace(weights, source=f"programs:{source}")
        point = dataclasses.replace(good, axes={"model": title})
        for role in good.programs:
            point = changed(point, role, weights=other)
        return point

    extra = TensorSpec(name="absent", shape=(1,), dtype="float32")
    points = (
        with_weights("no_weights", "lacking"),
        with_weights("broken_weights", "buggy"),
        changed(good, "decode", outputs=(*good.programs["decode"].outputs, extra)),
        changed(good, "prefill", source="programs:unexportable"),
        good,
    )
    code, response, _, said = lower(tmp_path, points, ("onnx@23", "pt2"), tmp_path / "cache")
    assert code == 0, said
    failures = {failure.point: failure for failure in response.failures}
    assert failures[points[0].key].error == "CheckpointError"
    assert failures[points[0].key].reason == "the checkpoint lacks 'key.weight'"
    assert failures[points[1].key].error == "SuiteError"
    assert "programs:broken_weights failed: ZeroDivisionError: a bug in the suite (programs.py:" in (
        failures[points[1].key].reason
    )
    assert failures[points[2].key].error == "SuiteError"
    assert "gave 3 outputs instead of 4" in failures[points[2].key].reason
    assert "ZeroDivisionError" in said  # the log has the traceback
    unexportable, whole = response.points
    assert set(unexportable.programs["prefill"].failures) == {"onnx@23", "pt2"}
    assert "torch.export failed" in unexportable.programs["prefill"].failures["pt2"]
    assert set(unexportable.programs["decode"].artifacts) == {"onnx@23", "pt2"}
    assert not any(program.failures for program in whole.programs.values())


def test_each_program_may_have_weights_of_its_own(tmp_path):
    """As of a draft and a target, or the parts of a pipeline: a decode with other weights than its prefill."""
    point = dataclasses.replace(contract.point(), pool="programs:answers")
    decode = point.programs["decode"].weights
    other = dataclasses.replace(decode, source="programs:other_weights")
    several = changed(point, "decode", weights=other)
    _, response, steps, said = lower(tmp_path, (point, several), ("pt2",), tmp_path / "cache")
    assert not response.failures, said
    made = [step.label for step in steps if step.label.startswith("weights")]
    assert made == ["weights of contract", "weights of contract (decode)"]
    one, two = response.points
    assert one.identity.weights != two.identity.weights
    assert one.programs["prefill"].weights_file == two.programs["prefill"].weights_file
    assert one.programs["decode"].weights_file != two.programs["decode"].weights_file
    for index in ("0", "1"):
        command = [sys.executable, str(HERE / "fresh_process.py"), str(tmp_path / "response.json"), index, "pt2"]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        assert found["tokens_agree"]
        assert max(found["errors"].values()) < 1e-5


def test_an_operator_that_a_converter_does_not_know_is_named(tmp_path):
    (point,) = plugins.suite("kernels").points(Selection(device_kind="cpu", size="tiny", workloads=("cumprod",)))
    code, response, _, said = lower(tmp_path, (point,), ("onnx@23", "openvino", "stablehlo"), tmp_path / "cache")
    assert code == 0, said
    (main,) = (each.programs["main"] for each in response.points)
    assert main.failures["openvino"].endswith("not converted: aten.cumprod.default")
    assert "prims.prod" in main.failures["onnx@23"]
    assert main.failures["onnx@23"].startswith("cumprod as onnx: DispatchError: No ONNX function found for ")
    assert "\x1b" not in main.failures["onnx@23"]
    assert set(main.artifacts) == {"stablehlo"}


def test_a_request_that_makes_no_sense_ends_with_its_code(tmp_path):
    code, response, _, said = lower(tmp_path, (contract.point(),), ("onnyx",), tmp_path / "cache")
    assert code == 2
    assert response is None
    assert "unknown format 'onnyx'; did you mean 'onnx'?" in said
    (tmp_path / "file").write_text("")
    code, _, _, said = lower(tmp_path, (contract.point(),), ("onnx",), tmp_path / "file" / "cache")
    assert code == 2
    assert "STEELYARD_CACHE" in said


def test_a_dropped_or_exchanged_output_is_an_error():
    program = contract.program("decode")
    ends = [(spec.shape, spec.dtype) for spec in program.outputs]
    formats.check_ends(program, "onnx", "output", ends)
    formats.check_ends(program, "stablehlo", "output", [(ends[0][0], "int32"), *ends[1:]])
    with pytest.raises(
        LoweringError, match=r"decode as onnx: 2 outputs instead of 3 \(next_token, logits, cache.0.k\)"
    ):
        formats.check_ends(program, "onnx", "output", ends[:2])
    with pytest.raises(LoweringError, match=r"output 'next_token' is float32\[2, 23\] instead of int64\[2\]"):
        formats.check_ends(program, "onnx", "output", [ends[1], ends[0], ends[2]])


def test_variants_of_formats():
    form, variant = formats.format_of("onnx@20")
    assert (form.name, variant) == ("onnx", "20")
    assert formats.made_with("onnx@20", "cpu") != formats.made_with("onnx@23", "cpu")
    with pytest.raises(UsageError, match=r"no variant '24'. Valid: onnx@20, onnx@23"):
        formats.format_of("onnx@24")
    with pytest.raises(UsageError, match=r"no variant '1'. Valid: pt2"):
        formats.format_of("pt2@1")


def test_openvino_reports_nothing_home():
    script = (
        "from steelyard.measure.telemetry import without_telemetry; without_telemetry()\n"
        "import openvino\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "print(telemetry_utils.tm.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub"


def test_torchax_tolerance_ends_with_its_import():
    script = (
        "from steelyard.formats.stablehlo import import_torchax; import_torchax()\n"
        "import torch\n"
        "try: torch.ops.aten.prod.dim_Dimname\n"
        "except AttributeError: print('gone')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "gone"
