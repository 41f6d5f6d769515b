"""The llama.cpp runner, held to decoders of the suite llm, since it takes no others; and what is written for it."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.adapters.llamacpp_binding import halves, pairs
from steelyard.adapters.llamacpp_state import Layout, packed, unpacked
from steelyard.core.backend import parse_backend
from steelyard.core.errors import LoweringError, SteelyardError, UsageError
from steelyard.environments.kept import find
from steelyard.formats.gguf import interleaved, rotary_factors
from steelyard.store import find_run, open_run


def layout(*, streams=2, layers=2, heads=3, width=4, transposed=True):
    return Layout(
        streams=streams,
        layers=layers,
        heads=heads,
        width=width,
        dtype=np.dtype(np.float32),
        number=0,
        transposed=transposed,
    )


@given(
    streams=st.integers(1, 3),
    cells=st.integers(0, 5),
    layers=st.integers(1, 3),
    heads=st.integers(1, 3),
    transposed=st.booleans(),
    data=st.data(),
)
def test_cells_that_are_packed_are_unpacked_as_they_were(streams, cells, layers, heads, transposed, data):
    like = layout(streams=streams, layers=layers, heads=heads, transposed=transposed)
    sequence = data.draw(st.integers(0, streams - 1))
    arrays = np.random.default_rng(0).standard_normal((2, layers, cells, heads, 4)).astype(np.float32)
    positions, keys, values = unpacked(packed(sequence, arrays[0], arrays[1], like), like)
    assert positions == list(range(cells))
    if cells:
        np.testing.assert_array_equal(keys, arrays[0])
        np.testing.assert_array_equal(values, arrays[1])


def test_a_cache_of_another_form_is_told_and_not_read():
    arrays = np.zeros((2, 2, 1, 3, 4), np.float32)
    data = packed(0, arrays[0], arrays[1], layout())
    for other in (layout(streams=3), layout(layers=1), layout(width=8), layout(transposed=False)):
        with pytest.raises(SteelyardError, match="another form than this runner reads"):
            unpacked(data, other)


@given(st.integers(0, 4), st.integers(1, 8))
def test_keys_come_back_in_the_order_of_transformers(heads, half):
    keys = np.arange(heads * 2 * half).reshape(heads, 2 * half)
    np.testing.assert_array_equal(halves(pairs(keys)), keys)
    assert pairs(keys)[:1, :2].tolist() == [[0, half]] * min(heads, 1)


def test_rows_of_a_projection_change_places_as_the_keys_do():
    torch = pytest.importorskip("torch")
    rows = torch.arange(2 * 6)[:, None].expand(12, 5)
    np.testing.assert_array_equal(interleaved(rows, 2)[:, 0].reshape(2, 6), pairs(np.arange(12).reshape(2, 6)))


def test_rotary_frequencies_are_divided_as_transformers_does():
    torch = pytest.importorskip("torch")
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0}
    rope |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    config = {"head_dim": 64, "rope_parameters": rope}
    whole = LlamaConfig(hidden_size=128, num_attention_heads=2, max_position_embeddings=131072, **config)
    wanted, _ = ROPE_INIT_FUNCTIONS["llama3"](whole, "cpu")
    plain = 1 / 500000.0 ** (np.arange(0, 64, 2) / 64)
    np.testing.assert_allclose(plain / np.asarray(rotary_factors(config)), wanted.to(torch.float64), rtol=1e-6)
    assert rotary_factors({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}) == []
    with pytest.raises(LoweringError, match="rotary positions of the type yarn"):
        rotary_factors({"rope_parameters": {**rope, "rope_type": "yarn"}, "head_dim": 64})


@pytest.fixture(scope="module")
def backend():
    """The runner where llama.cpp is installed, else in an environment of its own, for which it is compiled: minutes."""
    if importlib.util.find_spec("llama_cpp"):
        return "llamacpp"
    try:
        find(parse_backend("llamacpp@latest"))
    except UsageError:
        subprocess.run([sys.executable, "-m", "steelyard", "env", "create", "llamacpp"], check=True, timeout=3000)
    return "llamacpp@latest"


@pytest.mark.backends
@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("model", ["smollm2", "llama"])
def test_prompts_steps_and_answers_are_right_and_other_decoders_are_a_row_with_the_reason(model, tmp_path, backend):
    command = [sys.executable, "-m", "steelyard", "run", "--suite", "llm", "--size", "tiny", "--threads", "2"]
    command += ["--set", f"model={model},gpt2", "--set", "batch=3", "--backend", backend, "--baseline", backend]
    command += ["--rounds", "1", "--window", "0.05", "--output", str(tmp_path), "--no-report", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    run = open_run(find_run(tmp_path, "latest"))
    points = {case.id: case.point for case in run.manifest.cases}
    found = {(points[each.case_id].axes["model"], points[each.case_id].workload): each for each in run.results}
    for workload in ("prefill", "decode", "generate"):
        assert found[model, workload].status == "ok", ended.stdout + ended.stderr
        assert (found[model, workload].proof.threads, found[model, workload].proof.dtype) == (2, "float32")
        assert found["gpt2", workload].status == "unsupported"
        assert "of the type llama, not gpt2" in found["gpt2", workload].reason
    assert all(json.loads(line)["event"] for line in ended.stdout.splitlines())
