"""What a phase needs of memory, held against children of which it is known; and systems that tell less."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from steelyard.core.metrics import raised
from steelyard.measure.process_memory import HostMemory, descendants

ROOT = Path(__file__).parents[2]
MEBI = 1 << 20
SIZE = 96


def allowed(known: int) -> float:
    """The error that is promised: 2 MiB or 1 %."""
    return max(2 * MEBI, 0.01 * known)


def observed(what: str, folder: Path, size: int = SIZE) -> tuple[dict[str, float], dict[str, float], dict[str, int]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fakes.memory_child", what, str(size), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(done.stdout)
    return found["before"], found["during"], found["facts"]


@pytest.mark.parametrize("size", [8, SIZE])
def test_a_transient_of_known_size_is_the_peak(tmp_path: Path, size: int) -> None:
    before, during, _ = observed("touch", tmp_path, size)
    assert during["host_peak_bytes"] - before["host_peak_bytes"] == pytest.approx(size * MEBI, abs=allowed(size * MEBI))
    assert during["host_anon_bytes"] - before["host_anon_bytes"] < allowed(size * MEBI), "it was given back"


def test_what_is_kept_is_anonymous_and_no_file(tmp_path: Path) -> None:
    before, during, _ = observed("keep", tmp_path)
    known = SIZE * MEBI
    assert during["host_peak_bytes"] - before["host_peak_bytes"] == pytest.approx(known, abs=allowed(known))
    assert during["host_anon_bytes"] - before["host_anon_bytes"] == pytest.approx(known, abs=allowed(known))
    assert abs(during["host_file_bytes"] - before["host_file_bytes"]) < allowed(known)


def test_a_mapped_file_is_file_and_not_anonymous(tmp_path: Path) -> None:
    before, during, _ = observed("map_file", tmp_path)
    known = SIZE * MEBI
    assert during["host_peak_bytes"] - before["host_peak_bytes"] == pytest.approx(known, abs=allowed(known))
    assert during["host_file_bytes"] - before["host_file_bytes"] == pytest.approx(known, abs=allowed(known))
    assert abs(during["host_anon_bytes"] - before["host_anon_bytes"]) < allowed(known)


def test_native_code_that_holds_the_lock_is_seen_where_a_sampling_thread_sees_nothing(tmp_path: Path) -> None:
    before, during, facts = observed("hold_gil", tmp_path)
    known = SIZE * MEBI
    assert during["host_peak_bytes"] - before["host_peak_bytes"] == pytest.approx(known, abs=allowed(known))
    assert facts["sampled_bytes"] < known / 2, "the oracle is one: a sampler in Python missed it"


def test_a_forked_child_counts_with_shared_pages_once(tmp_path: Path) -> None:
    before, during, facts = observed("fork", tmp_path)
    assert "tree_bytes" not in before, "without children there is no tree"
    known = SIZE * MEBI + SIZE // 2 * MEBI
    # Held against the same sum before the fork: libraries are shared with other processes, too, and count in part.
    assert during["tree_bytes"] - facts["alone_bytes"] == pytest.approx(known, abs=allowed(known))
    peak = during["host_peak_bytes"] - before["host_peak_bytes"]
    assert peak == pytest.approx(SIZE * MEBI, abs=allowed(SIZE * MEBI)), "the peak is the process's own"


def system(tmp_path: Path, *, high: int, now: int, resettable: bool) -> Path:
    """A /proc with one process in it, in kB. Where the mark cannot be reset, clear_refs is a folder."""
    own = tmp_path / "self"
    own.mkdir(parents=True, exist_ok=True)
    lines = {"VmHWM": high, "VmRSS": now, "RssAnon": now - 10, "RssFile": 10}
    (own / "status").write_text("Name: x\n" + "".join(f"{name}:\t{value} kB\n" for name, value in lines.items()))
    if not resettable:
        (own / "clear_refs").mkdir(exist_ok=True)
    return tmp_path


def test_where_the_mark_cannot_be_reset_a_phase_that_raised_it_has_a_peak(tmp_path: Path) -> None:
    memory = HostMemory(system(tmp_path, high=1000, now=900, resettable=False))
    system(tmp_path, high=1500, now=1100, resettable=False)
    readings = memory.readings()
    assert readings["host_peak_bytes"].value == 1500 * 1024
    assert "raised" in readings["host_peak_bytes"].method
    assert readings["host_sampled_bytes"].value == 1100 * 1024
    assert "lower bound" in readings["host_sampled_bytes"].method


def test_where_it_cannot_be_reset_and_was_not_raised_the_peak_is_unknown_and_a_sample_stands_beside_it(
    tmp_path: Path,
) -> None:
    memory = HostMemory(system(tmp_path, high=1000, now=900, resettable=False))
    readings = memory.readings()
    peak = readings["host_peak_bytes"]
    assert peak.value is None
    assert "not above" in peak.reason
    assert "cannot be reset" in peak.reason
    assert readings["host_sampled_bytes"].value == 900 * 1024


def test_a_system_that_tells_nothing_gives_reasons_and_no_zeros(tmp_path: Path) -> None:
    readings = HostMemory(tmp_path).readings()
    assert all(reading.value is None and reading.reason for reading in readings.values())
    assert {"host_peak_bytes", "host_sampled_bytes", "host_anon_bytes", "host_file_bytes"} == set(readings)


def test_descendants_are_children_and_theirs(tmp_path: Path) -> None:
    for process, children in {"self": "7 8", "7": "9", "8": "", "9": ""}.items():
        task = tmp_path / process / "task" / "1"
        task.mkdir(parents=True)
        (task / "children").write_text(children)
    assert sorted(descendants(tmp_path)) == [7, 8, 9]


def test_a_mark_tells_a_phase_only_if_the_phase_raised_it() -> None:
    assert raised(5, 9, method="m", refused="no").value == 9
    assert raised(9, 9, method="m", refused="no").value is None
    assert raised(None, 9, method="m", refused="no").reason == "no"
