"""Which kernels of a folder are scored, and at which shapes."""

import math
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from steelyard import plugins
from steelyard.core.comparison import Comparison, Estimate, Interval
from steelyard.core.errors import UsageError
from steelyard.core.workload import Selection
from steelyard.lowering.points import points_of
from steelyard.service.scoring import Scored, Scores, hidden_points, kernels_in, package_of

SUITE = plugins.suite("kernels")
CPU = Selection(device_kind="cpu")


def extents(point) -> dict[str, int]:
    return {name: value for name, value in point.axes.items() if isinstance(value, int)}


@pytest.mark.parametrize("workload", SUITE.workloads)
@settings(max_examples=3)
@given(seed=some.integers(min_value=0, max_value=1 << 31))
def test_hidden_shapes_are_new_different_and_what_the_workload_asks_for(workload, seed) -> None:
    found = hidden_points(SUITE, workload, 3, random.Random(seed), CPU)
    assert [point.key for point in hidden_points(SUITE, workload, 3, random.Random(seed), CPU)] == [
        point.key for point in found
    ]
    assert len({point.key for point in found}) == 3
    sizes = [
        extents(point)
        for size in SUITE.sizes
        for point in points_of(SUITE, Selection(device_kind="cpu", size=size, workloads=(workload,)))
    ]
    for point in found:
        assert point.workload == workload
        assert extents(point) not in sizes
        assert all(value % sizes[0][name] == 0 for name, value in extents(point).items())
        elements = [math.prod(spec.shape) for program in point.programs.values() for spec in program.inputs]
        assert max(elements) < 1 << 24


def test_a_workload_without_axes_of_numbers_has_no_other_shape() -> None:
    with pytest.raises(UsageError, match="suite vision: resnet50 has no 100 other shapes"):
        hidden_points(plugins.suite("vision"), "resnet50", 100, random.Random(0), CPU)


def test_modules_of_a_folder_are_workloads_or_named_as_none(tmp_path: Path) -> None:
    for name in ("softmax", "matmul", "helpers", "__init__"):
        (tmp_path / f"{name}.py").touch()
    (tmp_path / "sort.txt").touch()
    assert kernels_in(tmp_path, SUITE) == (("matmul", "softmax"), ("helpers",))
    with pytest.raises(
        UsageError, match=r"has no kernel: a module has the name of a workload of the suite rl, as unrolled\.py"
    ):
        kernels_in(tmp_path, plugins.suite("rl"))


def test_a_folder_that_python_cannot_import_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("made/by_model", "made/by-model", "elsewhere"):
        Path(name).mkdir(parents=True)
    assert package_of(Path("made/by_model")) == "made.by_model"
    assert package_of(tmp_path / "made") == "made"
    monkeypatch.chdir("elsewhere")
    for folder in (Path(), Path("../made"), Path("../made/by-model")):
        with pytest.raises(UsageError, match="cannot be imported from here: start from the folder above it"):
            package_of(folder)
    with pytest.raises(UsageError, match="is no folder"):
        package_of(Path("nowhere"))


def test_fast_p_counts_failures() -> None:
    """By hand: of four kernels one failed, one has no time, one is half as fast, one is 1.6 times as fast."""

    def kernel(ratio: float | None, fault: str = "") -> Scored:
        found = None
        if ratio is not None:
            found = Comparison(
                point="p", title="softmax", workload="softmax", metric="latency_s", factor="backend",
                baseline="eager", candidate="kernel:made", scope="within run", family="exploratory", reason="",
                verdict="inconclusive",
                ratio=Estimate(value=ratio, interval=Interval(low=ratio, high=ratio, confidence=0.95), n=4),
            )  # fmt: skip
        return Scored(workload="softmax", right=3 - bool(fault), shapes=3, fault=fault, comparison=found)

    kernels = (kernel(0.1, "incorrect at rows=8: ..."), kernel(None), kernel(2.0), kernel(1 / 1.6))
    found = Scores(backend="kernel:made", baseline="eager", seed=1, kernels=kernels, runs=(), outcome="sound")
    assert [found.fast(p).value for p in (0, 1, 1.5, 2)] == [0.5, 0.25, 0.25, 0.0]
    low, high = found.fast(1).interval.low, found.fast(1).interval.high
    assert (low, high) == pytest.approx((0.0063, 0.8059), abs=1e-4)  # Clopper-Pearson for 1 of 4
