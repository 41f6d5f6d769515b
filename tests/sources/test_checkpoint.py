"""A folder of Hugging Face as it is saved by transformers: configuration and safetensors files, no code, no pickles."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steelyard.core.errors import CheckpointError, UsageError
from tests.sources.own import FORMATS, UNLIKE, lowered, point, statuses

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from steelyard.sources.checkpoint import SOURCE  # noqa: E402

INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=50, num_labels=3,
        max_position_embeddings=12,
    )  # fmt: skip
    folder: Path = tmp_path_factory.mktemp("saved") / "bert"
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture
def changed(bert: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the folder with entries of its configuration changed, and files in or out."""

    def copy(*without: str, files: dict[str, Any] | None = None, **config: Any) -> Path:
        folder = tmp_path / "bert"
        folder.mkdir()
        for file in bert.iterdir():
            if file.name not in without:
                (folder / file.name).write_bytes(file.read_bytes())
        known = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**known, **config}))
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        return folder

    return copy


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))


def test_inputs_are_by_the_configuration_and_what_is_given(bert: Path) -> None:
    program = point(bert).programs["main"]
    assert [f"{spec.name} {spec.declared}" for spec in (*program.inputs, *program.outputs)] == [
        "input_ids int64[1, 12]",
        "logits float32[1, 3]",
    ]
    program = point(bert, "input_ids=2x7", "attention_mask=2x7").programs["main"]
    assert [f"{spec.name} {spec.declared}" for spec in program.inputs] == [
        "input_ids int64[2, 7]",
        "attention_mask int64[2, 7]",
    ]
    assert program.arguments["between"] == {"input_ids": [0, 49], "attention_mask": [1, 1]}
    assert str(bert.parent) not in json.dumps([program.arguments, program.weights.arguments])


@pytest.mark.parametrize(
    ("without", "more", "said"),
    [
        (
            (),
            {"architectures": ["Mine"], "auto_map": {"AutoModel": "mine.Mine"}},
            "its class 'Mine' is none of trans",
        ),
        ((), {"architectures": ["pipeline"]}, "its class 'pipeline' is none of transformers"),
        ((), {"architectures": []}, "names no class in 'architectures'"),
        ((), {"quantization_config": {}}, "its weights are quantized"),
        ((), {"num_hidden_layers": 2}, "has 16 weights that the files do not, e.g. 'bert.encoder.layer.1"),
        ((), {"files": {"adapter_config.json": "{}"}}, "an adapter and no whole model"),
        (("model.safetensors",), {}, "bert: it holds no model.safetensors"),
        (
            ("model.safetensors",),
            {"files": {"pytorch_model.bin": ""}},
            "pytorch_model.bin is a pickle, which is not",
        ),
        ((), {"files": {"model.safetensors": "cut"}}, "model.safetensors is not a readable safetensors file"),
        ((), {"files": {INDEX: '{"weight_map": {"x": "../x.safetensors"}}'}}, "names '../x.safetensors', which is no"),
        ((), {"files": {INDEX: '{"weight_map": {"x": "x.bin"}}'}}, "names 'x.bin', which is no safetensors file"),
        ((), {"files": {INDEX: "[]"}}, "is not one of safetensors"),
    ],
)
def test_what_is_no_whole_model_of_plain_weights_is_refused(
    changed: Callable[..., Path], without: tuple[str, ...], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        SOURCE.program_of(changed(*without, **more), {})


def test_shapes_that_are_none_of_the_class_are_told(bert: Path) -> None:
    with pytest.raises(UsageError, match="--shape x: BertForSequenceClassification has no such input: it takes in"):
        SOURCE.program_of(bert, {"x": (1,)})
    with pytest.raises(UsageError, match="give further inputs, or other extents, with --shape"):
        SOURCE.program_of(bert, {"input_ids": (1, 99)})


def test_a_folder_that_is_none_says_what_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing here reads such a file"):
        point(tmp_path)


def test_a_pointer_of_git_lfs_is_told(changed: Callable[..., Path]) -> None:
    folder = changed(files={"model.safetensors": "version https://git-lfs.github.com/spec/v1\n"})
    with pytest.raises(CheckpointError, match="is a pointer of Git LFS"):
        point(folder)


@pytest.mark.backends
def test_it_is_had_in_every_form_and_computes_what_transformers_does(bert: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    found = lowered(bert, point(bert), tmp_path)
    assert set(found.programs["main"].artifacts) == set(FORMATS)
    assert found.reference_by == ""
    model = transformers.BertForSequenceClassification.from_pretrained(bert).eval()
    right = model(**load_file(found.pool[0].inputs)).logits
    torch.testing.assert_close(load_file(found.pool[0].reference)["logits"].float(), right)


@pytest.mark.backends
def test_a_folder_of_the_hub_is_pinned_to_its_commit(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's cache as its client keeps it, without a network."""
    commit = "0123456789012345678901234567890123456789"
    kept = tmp_path / "hub/models--some--bert"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs/main").write_text(commit)
    snapshot = kept / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for file in bert.iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = point("hf:some/bert")
    program = found.programs["main"]
    assert program.weights.arguments["hub"] == ["some/bert", commit]
    assert point(f"hf:some/bert@{commit}").programs["main"].key == program.key
    assert lowered("hf:some/bert", found, tmp_path, formats=()).reference_by == ""
    with pytest.raises(CheckpointError, match="hf:some/other@main cannot be had"):
        point("hf:some/other")


@pytest.mark.full
@pytest.mark.backends
def test_it_runs_in_every_form(bert: Path, tmp_path: Path) -> None:
    assert statuses(bert, cwd=tmp_path, backends=",".join(UNLIKE)) == dict.fromkeys(UNLIKE, "ok")
