"""The contract that `-m hardware` holds real meters to, held here by the stand-ins, and by none that is wrong."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.guard.energy_source import EnergySource
from steelyard.guard.hwmon import hwmon_source
from steelyard.guard.meter_readings import Counts
from steelyard.guard.nvml import nvml_source
from steelyard.guard.rapl import rapl_source
from tests.fakes.nvml import SETTINGS, loaded
from tests.guard.meter_contract import check_meter

WATTS = 42.0
SHORT_S = 0.3


@pytest.fixture
def driven() -> Iterator[Callable[[Path, int], None]]:
    """Files that grow at WATTS, in microjoules from a start, written some hundred times a second."""
    over, threads = threading.Event(), []

    def start(path: Path, raw: int) -> None:
        fresh, begun = path.with_name("fresh"), time.monotonic()

        def write() -> None:
            fresh.write_text(f"{raw + round(1e6 * WATTS * (time.monotonic() - begun))}\n")
            fresh.replace(path)

        def drive() -> None:
            while not over.wait(0.003):
                write()

        path.parent.mkdir(parents=True)
        write()
        threads.append(threading.Thread(target=drive))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join()


def test_a_package_in_files_holds_the_contract(driven, tmp_path):
    driven(tmp_path / "intel-rapl:0/energy_uj", 5)
    (tmp_path / "intel-rapl:0/name").write_text("package-0")
    assert check_meter(rapl_source(tmp_path), SHORT_S) == pytest.approx(WATTS, rel=0.2)


def test_a_card_in_hwmon_holds_the_contract(driven, tmp_path):
    driven(tmp_path / "hwmon0/energy1_input", 5)
    (tmp_path / "hwmon0/name").write_text("xe")
    source = hwmon_source("xpu", 0, tmp_path)
    source.update_period_s = 0.02  # what is declared decides how closely it is watched
    assert check_meter(source, SHORT_S) == pytest.approx(WATTS, rel=0.2)


@pytest.mark.parametrize("counter", ["", ";energy=not_supported"], ids=["counter", "power alone"])
def test_a_board_behind_the_real_binding_holds_the_contract(counter, monkeypatch):
    pytest.importorskip("pynvml")
    loaded()
    monkeypatch.setenv(SETTINGS, f"watts=square:185:215:0.0203{counter};update_ms=2")
    source = nvml_source()
    source.update_period_s = 0.02
    assert check_meter(source, SHORT_S) == pytest.approx(200, rel=0.2)
    source.close()


class Wrong(EnergySource):
    """A source whose counts are changed by a function of their number."""

    name, kind = "wrong", "counter"

    def __init__(self, inner: EnergySource, change: Callable[[float, int], float]) -> None:
        super().__init__()
        self._inner, self._change, self._reads = inner, change, 0
        self.update_period_s = 0.02

    def domains(self):
        return self._inner.domains()

    def _read(self) -> Counts:
        self._reads += 1
        return {
            name: dataclasses.replace(count, joules=self._change(count.joules, self._reads))
            for name, count in self._inner.read().items()
        }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda joules, number: 7.0, "stands still"),
        (lambda joules, number: joules * 1e6, r"wrong: .*e\+07 W"),
        (lambda joules, number: joules + 5.0 * (number % 2), "went back"),
    ],
    ids=["stands still", "implausible", "goes back"],
)
def test_a_meter_that_is_wrong_breaks_it(change, told, driven, tmp_path):
    driven(tmp_path / "intel-rapl:0/energy_uj", 5)
    (tmp_path / "intel-rapl:0/name").write_text("package-0")
    with pytest.raises(AssertionError, match=told):
        check_meter(Wrong(rapl_source(tmp_path), change), SHORT_S)
