"""A suite is held against itself at the plan: names that it does not have, and points that no backend could run."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steelyard.core.errors import CheckpointError, SuiteError, UsageError
from steelyard.core.workload import DTYPE_BYTES, Point, Selection, TensorSpec
from steelyard.lowering.points import points_of
from tests.fakes.mistaken import SUITE, point

RIGHT = Selection(device_kind="cpu", workloads=("right",))


def program(**changed: Any) -> Callable[[], Point]:
    right = point("right")
    main = dataclasses.replace(right.programs["main"], **changed)
    return lambda: dataclasses.replace(right, programs={"main": main})


def output(**changed: Any) -> Callable[[], Point]:
    (spec,) = point("right").programs["main"].outputs
    return program(outputs=(dataclasses.replace(spec, **changed),))


def made(point: Callable[[], Any]) -> tuple[Point, ...]:
    return points_of(dataclasses.replace(SUITE, points=lambda selection: (point(),)), RIGHT)


@pytest.mark.parametrize(
    ("point", "said"),
    [
        (output(shape=(-1, 8)), r"program 'main', output 'y': its shape is \[-1, 8\]: shapes are static, give"),
        (output(shape=("batch", 8)), r"its shape is \['batch', 8\]"),
        (output(dtype="float8"), r"output 'y': its dtype is 'float8', which is not known here: give one of float64, "),
        (output(dtype="complex64"), r"'complex64', which is not known here: .*complex numbers as two outputs"),
        (output(role="cache"), r"its role is 'cache': give one of data, state"),
        (program(dtype="int64"), r"program 'main': its dtype is 'int64', the type it computes in: give one of float64"),
        (program(outputs=()), r"program 'main' declares no output"),
        (program(inputs=point("right").programs["main"].inputs * 2), r"declares two inputs 'x'"),
        (program(source="mymod"), r"source of program 'main' is 'mymod': write it as module:function"),
        (program(arguments={"kind": object()}), r"no JSON form \(object has no canonical form\)"),
        (
            lambda: dataclasses.replace(point("right"), driver="generate"),
            r"runs the program prefill, which is not amon",
        ),
        (
            lambda: dataclasses.replace(point("right"), settings={"score": "m:f"}),
            r"the settings 'score', a function, and 'scored', what it counts in words, belong together",
        ),
        (
            lambda: dataclasses.replace(point("right"), settings={"score": "count", "scored": "words"}),
            r"the setting 'score' is 'count': write it as module:function",
        ),
        (
            lambda: dataclasses.replace(point("right"), driver="train", settings={"score": "m:f", "scored": "words"}),
            r"the driver 'train' counts no right answers: leave out the setting 'score'",
        ),
        (
            lambda: dataclasses.replace(point("right"), driver="cal"),
            r"unknown driver 'cal'",
        ),
    ],
)
def test_a_point_that_no_backend_could_run_is_the_suites_error(point: Callable[[], Point], said: str) -> None:
    with pytest.raises(SuiteError, match=f"^suite error: suite 'mistaken', workload 'right': .*{said}"):
        made(point)


def test_every_dtype_that_has_a_size_is_known() -> None:
    for dtype in DTYPE_BYTES:
        assert made(output(dtype=dtype))
    assert TensorSpec(name="x", shape=(3, 2), dtype="uint8").bytes == 6
    assert TensorSpec(name="x", shape=(3, 2), dtype="int16").bytes == 12


def test_what_points_raises_and_returns_is_told_with_its_place() -> None:
    def broken(selection: Selection) -> tuple[Point, ...]:
        return ({}["batch"],)

    with pytest.raises(SuiteError, match=r"suite 'mistaken': points\(\) failed: KeyError: 'batch' \(.*test_points.py"):
        points_of(dataclasses.replace(SUITE, points=broken), RIGHT)
    with pytest.raises(SuiteError, match=r"points\(\) gave a dict, not a Point"):
        made(dict)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"axes": {"foo": ("1",)}}, "unknown axis 'foo'"),
        ({"axes": {"batch": ("many",)}}, "axis 'batch': 'many' is not a whole number"),
        ({"axes": {"kind": ("b",)}}, "unknown value of axis 'kind' 'b'"),
        ({"workloads": ("wrong",)}, "unknown workload 'wrong'"),
        ({"exclude": ("wrong",)}, "unknown workload 'wrong'"),
        ({"size": "huge"}, "unknown size 'huge'"),
    ],
)
def test_a_name_that_the_suite_does_not_have_is_not_ignored(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        points_of(SUITE, dataclasses.replace(RIGHT, **asked))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 548105171\n"


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json", "merges.txt"])
def test_a_checkpoint_that_was_not_pulled_is_refused_before_points_are_made(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(POINTER)
    asked = dataclasses.replace(RIGHT, weights_dir=str(tmp_path))
    with pytest.raises(CheckpointError, match=rf"{name} is a pointer of Git LFS .*run `git lfs pull` in "):
        points_of(SUITE, asked)


def test_what_the_index_does_not_name_may_stay_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"w": "model-1.safetensors"}}')
    (tmp_path / "model-1.safetensors").write_bytes(b"whole")
    for name in ("consolidated.safetensors", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(POINTER)
    asked = dataclasses.replace(RIGHT, weights_dir=str(tmp_path))
    assert points_of(SUITE, asked)
    (tmp_path / "model-1.safetensors").write_bytes(POINTER)
    with pytest.raises(CheckpointError, match=r"model-1.safetensors is a pointer"):
        points_of(SUITE, asked)
