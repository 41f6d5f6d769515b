"""What one read of a meter costs: a powercap tree of files, and the real NVML binding over the compiled stand-in."""

import ctypes

import pytest

from steelyard.guard.energy_source import EnergySource
from steelyard.guard.external import ExternalLog
from steelyard.guard.jetson import jetson_source
from steelyard.guard.nvml import nvml_source
from steelyard.guard.rapl import rapl_source
from tests.fakes.metered_work import write_zone
from tests.fakes.nvml import SETTINGS, build

LIMIT_S = 1e-3
"""A read must cost less than a thousandth of a second: 40 of them in a window of 2 s are then 2 % at the very most."""


def cost(benchmark, source: EnergySource, name: str) -> None:
    benchmark.pedantic(source.read, rounds=200, iterations=20, warmup_rounds=5)
    median_s = benchmark.stats.stats.median
    benchmark.extra_info |= {"read_s": median_s, "limit_s": LIMIT_S}
    print(f"\n{name}: {median_s * 1e6:.1f} us a read")
    assert median_s < LIMIT_S


def bench_read_of_one_package(benchmark, tmp_path):
    write_zone(tmp_path, 5.0)
    cost(benchmark, rapl_source(tmp_path / "sys/class/powercap"), "powercap, one package (file)")


def bench_read_of_two_packages_with_memory(benchmark, tmp_path):
    root = tmp_path / "powercap"
    for zone, name in {"0": "package-0", "0:0": "dram", "1": "package-1", "1:0": "dram"}.items():
        directory = root / f"intel-rapl:{zone}"
        directory.mkdir(parents=True)
        for file, content in {"name": name, "energy_uj": "5", "max_energy_range_uj": "262143328850"}.items():
            (directory / file).write_text(content)
    cost(benchmark, rapl_source(root), "powercap, two packages and their memory (files)")


def bench_read_of_three_rails(benchmark, tmp_path):
    directory = tmp_path / "hwmon0"
    directory.mkdir()
    (directory / "name").write_text("ina3221")
    for number in (1, 2, 3):
        for name, content in {f"in{number}_input": 5000, f"curr{number}_input": 900}.items():
            (directory / name).write_text(str(content))
        (directory / f"in{number}_label").write_text(f"RAIL_{number}")
    cost(benchmark, jetson_source(tmp_path), "Jetson, three rails (files)")


@pytest.fixture
def stub(tmp_path, monkeypatch):
    ctypes.CDLL(str(build(tmp_path)))
    monkeypatch.setenv(SETTINGS, "watts=100")


@pytest.mark.usefixtures("stub")
def bench_read_of_a_board(benchmark):
    source = nvml_source()
    cost(benchmark, source, "NVML, counter and power (stand-in: the binding's share)")
    source.close()


def bench_read_of_a_log(benchmark, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("unix_time_s,power_w\n1,2\n2,3\n")
    cost(benchmark, ExternalLog(path), "external log (the time alone)")
