"""A saved program of torch.export: read without unpickling, importing or evaluating anything that it says."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steelyard.core.errors import CheckpointError, UsageError
from tests.sources.own import FORMATS, UNLIKE, lowered, point, statuses

torch = pytest.importorskip("torch")

from steelyard.sources.exported import SOURCE  # noqa: E402
from steelyard.sources.exported.archive import read  # noqa: E402
from steelyard.sources.exported.graph import cleaned  # noqa: E402

PROGRAM, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"
EXAMPLES = "data/sample_inputs/model.pt"


class Net(torch.nn.Module):
    """Tied weights, a buffer that no file holds, casts, an option, and a dict of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(17, 8)
        self.out = torch.nn.Linear(8, 17, bias=False)
        self.out.weight = self.embed.weight
        self.register_buffer("mask", torch.ones(8), persistent=False)

    def forward(self, ids: Any, x: Any, option: Any = None) -> Any:
        hidden = self.embed(ids).to(torch.float32) + x * self.mask + torch.tensor([0.5])
        return {"y": self.out(torch.relu(hidden)).float(), "z": hidden.reshape(-1), "none": None}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program for any batch up to 64."""
    torch.manual_seed(0)
    net = Net().eval()
    batch = torch.export.Dim("batch", max=64)
    given = (torch.ones(2, 3, dtype=torch.int64), torch.randn(2, 3, 8), None)
    exported = torch.export.export(net, given, dynamic_shapes=({0: batch}, {0: batch}, None))
    path: Path = tmp_path_factory.mktemp("saved") / "net.pt2"
    torch.export.save(exported, path)
    return path


@pytest.fixture
def changed(saved: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the file with members changed by functions, in the way that torch packs them or in another."""

    def write(how: int = zipfile.ZIP_STORED, **changes: Any) -> Path:
        path = tmp_path / "net.pt2"
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w", how) as new:
            for name in old.namelist():
                data = old.read(name)
                for end, change in changes.get("members", {}).items():
                    data = change(data) if name.endswith(end) else data
                new.writestr(name, data)
            for name, data in changes.get("more", {}).items():
                new.writestr(name, data)
        return path

    return write


def in_json(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        read = json.loads(data)
        change(read)
        return json.dumps(read).encode()

    return changed


def nodes(program: Any) -> Any:
    return program["graph_module"]["graph"]["nodes"]


def test_what_is_open_is_asked_for(saved: Path) -> None:
    with pytest.raises(UsageError, match=r"input 'ids' is \['s\d+', 3\], with open extents; give them, e.g. --shape"):
        point(saved)
    program = point(saved, "ids=4x3", "x=4x3x8").programs["main"]
    assert [f"{spec.name} {spec.declared}" for spec in (*program.inputs, *program.outputs)] == [
        "ids int64[4, 3]",
        "x float32[4, 3, 8]",
        "output0 float32[4, 3, 17]",
        "output1 float32[96]",
    ]


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (("ids=4x3", "x=5x3x8"), "5 stands for the same extent 's"),
        (("ids=65x3", "x=65x3x8"), "65 is not within"),
        (("ids=4x4", "x=4x3x8"), r"\[4, 4\] does not fit"),
        (("ids=4x3", "x=4x3x8", "y=1"), "input of net.pt2 'y'"),
    ],
)
def test_extents_that_cannot_be_are_told(saved: Path, shapes: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        point(saved, *shapes)


def touch(path: Path) -> bytes:
    """A pickle that makes a file when it is read."""

    class Touch:
        def __reduce__(self) -> Any:
            return Path.touch, (path,)

    return pickle.dumps(Touch())


def test_pickled_examples_classes_and_guards_are_left_alone(
    changed: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    mark = tmp_path / "mark"
    code = f"__import__('pathlib').Path({str(mark)!r}).touch()"

    def evil(program: Any) -> None:
        program["guards_code"] = [code]
        program["verifiers"] = ["nobody.knows"]
        call = program["graph_module"]["module_call_graph"][0]["signature"]
        call["out_spec"] = call["out_spec"].replace("builtins.dict", "nobody.knows")
        nodes(program)[0]["metadata"] = {"source_fn_stack": f"x,{code}", "custom": "{"}

    examples = io.BytesIO()
    with zipfile.ZipFile(examples, "w") as archive:
        archive.writestr("archive/data.pkl", touch(mark))
        archive.writestr("archive/version", "3")
    path = changed(members={PROGRAM: in_json(evil), EXAMPLES: lambda _: examples.getvalue()})
    found = point(path, "ids=4x3", "x=4x3x8")
    assert lowered(path, found, tmp_path, formats=()).reference_by == ""
    assert not mark.exists()


def renamed(program: Any) -> None:
    nodes(program)[0]["name"] = "x): import os\n#"


def calling(target: str) -> Callable[[Any], None]:
    return lambda program: nodes(program)[0].update(target=target)


def measuring(text: str) -> Callable[[Any], None]:
    def change(program: Any) -> None:
        sizes = program["graph_module"]["graph"]["tensor_values"]["ids"]["sizes"]
        sizes[0] = {"as_expr": {"expr_str": text, "hint": None}}

    return change


def on_another_device(program: Any) -> None:
    program["graph_module"]["graph"]["tensor_values"]["ids"]["device"] = {"type": "cuda", "index": 0}


def calling_a_graph(program: Any) -> None:
    nodes(program)[0]["inputs"][0]["arg"] = {"as_graph": {}}


def changing_state(program: Any) -> None:
    specs = program["graph_module"]["signature"]["output_specs"]
    specs[0] = {"buffer_mutation": {"arg": {"name": "x"}, "buffer_name": "mask"}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (renamed, r"'x\): import os\\n#' is no name|is no name"),
        (calling("torch.os.system"), "calls torch.os.system, which is no operator"),
        (calling("torch.ops.aten.from_file.default"), "calls torch.ops.aten.from_file.default"),
        (calling("torch.ops.mine.op.default"), "calls torch.ops.mine.op.default"),
        (calling("math.prod"), "calls math.prod"),
        (measuring("__import__('os').abort()"), r"an extent is '__import__\('os'\)"),
        (measuring("Symbol(__import__('os'))"), "an extent is 'Symbol"),
        (measuring("Pow(Integer(9), Integer(99999999))"), "an extent is 'Pow"),
        (measuring("Mul(Integer(2), Symbol('s0', integer=print(1)))"), "an extent is 'Mul"),
        (on_another_device, "exported for cuda: move it to the CPU"),
        (changing_state, "an output of the kind buffer_mutation"),
        (
            lambda program: nodes(program)[0]["inputs"][0].update(arg={"as_graph": {}}),
            "holds graphs among its arguments",
        ),
        (lambda program: program["range_constraints"].update({"u99999999": {}}), "bounds 'u99999999'"),
        (lambda program: program.pop("graph_module"), "not of the form that torch writes"),
        (lambda program: program["schema_version"].update(major=99), "cannot read it: SerializeError"),
    ],
)
def test_programs_that_are_more_than_operators_on_tensors_are_refused(
    changed: Callable[..., Path], change: Callable[[Any], Any], said: str
) -> None:
    path = changed(members={PROGRAM: in_json(change)})
    with pytest.raises(CheckpointError, match=said):
        SOURCE.program_of(path, {"ids": (4, 3), "x": (4, 3, 8)})


def pickled(table: Any) -> None:
    table["config"]["embed.weight"]["use_pickle"] = True


def elsewhere(table: Any) -> None:
    table["config"]["embed.weight"]["path_name"] = "../../etc/passwd"


def larger(table: Any) -> None:
    table["config"]["embed.weight"]["tensor_meta"]["sizes"][0]["as_int"] = 10**9


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"members": {WEIGHTS: in_json(pickled)}},
            "'embed.weight' is a pickle .*nothing of somebody else's is unpickled",
        ),
        ({"members": {WEIGHTS: in_json(elsewhere)}}, r"lies in '../../etc/passwd', which is not in the file"),
        ({"members": {WEIGHTS: in_json(larger)}}, "not a readable file of torch.export.save"),
        ({"members": {PROGRAM: lambda data: data[:50]}}, "not a readable file of torch.export.save"),
        ({"more": {"net/../../evil": b""}}, r"not plain files of one folder \('net/../../evil'\)"),
        ({"more": {"/evil": b""}}, r"not plain files of one folder \('/evil'\)"),
        ({"more": {"net/data/aotinductor/x.so": b""}}, "a package of compiled code"),
        ({"how": zipfile.ZIP_DEFLATED}, "not plain files of one folder"),
    ],
)
def test_archives_that_torch_did_not_write_so_are_refused(
    changed: Callable[..., Path], change: dict[str, Any], said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        read(changed(**change))


@pytest.mark.parametrize("cut", [0, 40, -300])
def test_cut_and_foreign_bytes_are_refused(saved: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(saved.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match=r"net\.pt2: not a (readable )?file of torch.export.save"):
        read(path)
    old = tmp_path / "old.pt2"
    with zipfile.ZipFile(old, "w") as archive:
        archive.writestr("old/serialized_exported_program.json", "{}")
    with pytest.raises(CheckpointError, match=r"holds no models/model\.json; it is of an older torch"):
        read(old)


def test_ties_constants_and_options_are_what_they_were(saved: Path) -> None:
    found = read(saved)
    assert found.weights["embed.weight"] is found.weights["out.weight"]
    program = cleaned(saved, found.program)
    assert len(program["graph_module"]["signature"]["output_specs"]) == 2
    assert not any(node["metadata"] for node in nodes(program))


@pytest.mark.backends
def test_it_is_had_in_every_form_and_computes_what_torch_does(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    found = lowered(saved, point(saved, "ids=4x3", "x=4x3x8"), tmp_path)
    program = found.programs["main"]
    assert set(program.artifacts) == set(FORMATS)
    assert found.reference_by == ""
    assert all(0 < each.floor < 1e-5 for each in found.tolerances.values())
    assert program.artifacts["stablehlo"].weight_bytes == 17 * 8 * 4
    torch.manual_seed(0)
    inputs = load_file(found.pool[0].inputs)
    right = Net().eval()(inputs["ids"], inputs["x"])
    reference = load_file(found.pool[0].reference)
    assert reference["output0"].dtype == torch.float64
    torch.testing.assert_close(reference["output0"].float(), right["y"])
    torch.testing.assert_close(reference["output1"].float(), right["z"])


@pytest.mark.full
@pytest.mark.backends
def test_it_runs_in_every_form(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    shapes = ("--shape", "ids=4x3", "--shape", "x=4x3x8")
    assert statuses(saved, *shapes, cwd=tmp_path, backends=",".join(UNLIKE)) == dict.fromkeys(UNLIKE, "ok")
