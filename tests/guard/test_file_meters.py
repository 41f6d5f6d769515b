"""What can befall the files of a meter, the same for every source that is made of files, over a virtual clock."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from steelyard.guard.energy_source import Absent, EnergySource
from steelyard.guard.files import whole_number
from steelyard.guard.hwmon import hwmon_source
from steelyard.guard.jetson import jetson_source
from steelyard.guard.meter_readings import Energy
from steelyard.guard.meter_window import total
from steelyard.guard.rapl import Rapl, rapl_source
from tests.guard.test_energy import Clock

WATTS, WINDOW_S = 10, 8
GARBAGE = ["", "garbage", "-5", "1.5e3", "12 34", "٣", "9" * 5000]


@dataclass(frozen=True)
class FileMeter:
    """A meter at WATTS. `file` is what it reads, `opened` and `found` the source with a clock and as users get it;
    `counts` whether the file is a counter of microjoules, else it tells power."""

    contents: dict[str, str]
    file: str
    opened: Callable[[Path, Clock], EnergySource]
    found: Callable[[Path], EnergySource]
    counts: bool = False

    def make(self, root: Path) -> Path:
        for name, content in self.contents.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
        return root / self.file

    def step(self, path: Path, seconds: float) -> None:
        if self.counts:
            path.write_text(f"{int(path.read_text()) + round(seconds * WATTS * 1e6)}\n")


METERS = {
    "powercap": FileMeter(
        {"intel-rapl:0/name": "package-0\n", "intel-rapl:0/energy_uj": "5\n"}
        | {"intel-rapl:0/max_energy_range_uj": "262143328850\n"},
        "intel-rapl:0/energy_uj",
        Rapl,
        rapl_source,
        counts=True,
    ),
    "hwmon, energy": FileMeter(
        {"hwmon0/name": "xe\n", "hwmon0/energy1_input": "5\n"},
        "hwmon0/energy1_input",
        lambda root, clock: hwmon_source("xpu", 0, root, clock),
        lambda root: hwmon_source("xpu", 0, root),
        counts=True,
    ),
    "hwmon, power": FileMeter(
        {"hwmon0/name": "amdgpu\n", "hwmon0/power1_average": f"{WATTS}000000\n"},
        "hwmon0/power1_average",
        lambda root, clock: hwmon_source("rocm", 0, root, clock),
        lambda root: hwmon_source("rocm", 0, root),
    ),
    "jetson": FileMeter(
        {"hwmon0/name": "ina3221\n", "hwmon0/in1_label": "VDD_IN\n", "hwmon0/in1_input": "5000\n"}
        | {"hwmon0/curr1_input": f"{WATTS * 200}\n"},
        "hwmon0/curr1_input",
        jetson_source,
        jetson_source,
    ),
}


@pytest.fixture(params=METERS)
def meter(request) -> FileMeter:
    return METERS[request.param]


def window(meter: FileMeter, root: Path, befall: Callable[[Path], None], *, mended: bool = False) -> Energy:
    """A window of three reads whose file something befalls before the second; `mended` before the third."""
    clock = Clock()
    path = meter.make(root)
    source = meter.opened(root, clock)
    reads = [source.read()]
    meter.step(path, WINDOW_S / 2)
    kept = path.read_text()
    befall(path)
    clock.pass_s(WINDOW_S / 2)
    reads.append(source.read())
    if mended:
        path.write_text(kept)
        meter.step(path, WINDOW_S / 2)
    clock.pass_s(WINDOW_S / 2)
    reads.append(source.read())
    return total(source, reads)


def code(energy: Energy) -> tuple[float | None, str]:
    assert energy.fault is not None
    return energy.joules, energy.fault.code


def test_where_nothing_befalls_it_the_window_has_its_joules(meter, tmp_path):
    energy = window(meter, tmp_path, lambda path: None, mended=True)
    assert energy.joules == pytest.approx(WATTS * WINDOW_S)


@pytest.mark.parametrize("mended", [False, True], ids=["at the end", "in between"])
def test_a_file_that_vanishes_leaves_no_number(meter, mended, tmp_path):
    assert code(window(meter, tmp_path, Path.unlink, mended=mended)) == (None, "vanished")


@pytest.mark.parametrize("mended", [False, True], ids=["at the end", "in between"])
@pytest.mark.parametrize("content", GARBAGE, ids=[text[:7] or "nothing" for text in GARBAGE])
def test_garbage_leaves_no_number(meter, content, mended, tmp_path):
    found = window(meter, tmp_path, lambda path: path.write_text(content) and None, mended=mended)
    assert code(found) == (None, "garbage")


def test_bytes_that_are_no_text_are_garbage(meter, tmp_path):
    assert code(window(meter, tmp_path, lambda path: path.write_bytes(b"\xff\xfe") and None)) == (None, "garbage")


def refuse(monkeypatch, name: str, error: OSError) -> None:
    """Reading files of this name fails; the tests may run as root, whom no mode keeps out."""
    real = Path.read_text

    def read_text(self, *arguments, **options):
        if self.name == name:
            raise error
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", read_text)


def test_a_permission_that_is_taken_away_leaves_no_number(meter, tmp_path, monkeypatch):
    denied = PermissionError(errno.EACCES, "Permission denied")
    found = window(meter, tmp_path, lambda path: refuse(monkeypatch, path.name, denied))
    assert code(found) == (None, "no_permission")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "no_permission"),
        (OSError(errno.ENODEV, "No such device"), "vanished"),
        (OSError(errno.EIO, "Input/output error"), "not_supported"),
    ],
    ids=["permission", "device", "input and output"],
)
def test_what_cannot_be_read_from_the_start_is_absent_with_the_reason(meter, error, told, tmp_path, monkeypatch):
    path = meter.make(tmp_path)
    assert not isinstance(meter.found(tmp_path), Absent)
    refuse(monkeypatch, path.name, error)
    source = meter.found(tmp_path)
    assert isinstance(source, Absent)
    assert source.fault.code == told
    assert source.fault.detail
    assert str(tmp_path) not in source.fault.text, "a run stores it"


@pytest.mark.parametrize("below_j", range(0, 34, 3))
def test_a_64_bit_counter_is_unwound_at_every_phase(below_j, tmp_path):
    """Four steps of 8 J, from so many joules below the end of the range."""
    meter, clock = METERS["hwmon, energy"], Clock()
    path = meter.make(tmp_path)
    raw = (1 << 64) - 1 - below_j * 1_000_000
    path.write_text(str(raw))
    source = meter.opened(tmp_path, clock)
    reads = [source.read()]
    for _ in range(4):
        raw = (raw + 8_000_000) % (1 << 64)
        path.write_text(str(raw))
        clock.pass_s(2)
        reads.append(source.read())
    energy = total(source, reads)
    assert energy.fault is None
    assert energy.joules == pytest.approx(32)


def test_the_largest_number_of_64_bits_is_a_number(tmp_path):
    path = tmp_path / "file"
    path.write_text(str((1 << 64) - 1))
    assert whole_number(path) == (1 << 64) - 1
