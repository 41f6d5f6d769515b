"""What `make agreement` holds while it lowers, reads what is stored and measures."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from steelyard.cli.exit_codes import INTERRUPTED
from steelyard.core.backend import Budget
from steelyard.core.errors import SteelyardError, StoreError
from steelyard.hardware.choice import choose_cpus, pick_device
from steelyard.hardware.occupied import occupied
from steelyard.lowering.cache import Cache, cache_root
from steelyard.store import RunLock
from tests.validation import vendor
from tests.validation.__main__ import app
from tests.validation.interleaved import VendorCampaign


@pytest.fixture
def campaign(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[], int]]:
    """The command without any tool, in a cache of its own, where nobody has taken the signal yet."""
    monkeypatch.setenv("STEELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(vendor, "TOOLS", ())
    monkeypatch.setattr(vendor, "_matches", lambda *_: ((), []))
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def call() -> int:
        return vendor.run_vendor(
            (), output=tmp_path, threads=1, cpus=None, seed=0, window_s=0.1, rounds=1, dry_run=False, json=True
        )

    yield call
    signal.signal(signal.SIGTERM, before)


def taken() -> bool:
    """Whether somebody measures on the CPU that one thread gets."""
    try:
        with occupied(pick_device(None), Budget(threads=1, cpus=choose_cpus(1, None))):
            return False
    except SteelyardError:
        return True


def test_nobody_else_measures_there_from_lowering_to_the_last_launch(campaign, monkeypatch, capsys):
    seen: list[tuple[str, bool]] = []

    def step(name: str, result: object) -> Callable[..., object]:
        def call(*_: object) -> object:
            seen.append((name, taken()))
            with pytest.raises(SteelyardError, match="a run is using the cache"):
                Cache(cache_root()).clean(0)
            return result

        return call

    monkeypatch.setattr(vendor, "_matches", step("lower", ((), [])))
    monkeypatch.setattr(VendorCampaign, "load", step("load", None))
    monkeypatch.setattr(VendorCampaign, "measure", step("measure", False))
    assert campaign() == INTERRUPTED
    assert seen == [("lower", True), ("load", True), ("measure", True)]
    assert not taken()
    assert "the same command goes on" in capsys.readouterr().err


def test_it_does_not_start_where_somebody_measures(campaign, monkeypatch):
    monkeypatch.setattr(VendorCampaign, "measure", lambda *_: pytest.fail("it measured beside another"))
    with (
        occupied(pick_device(None), Budget(threads=1, cpus=choose_cpus(1, None))),
        pytest.raises(SteelyardError, match="is measuring on"),
    ):
        campaign()


def test_two_with_other_caches_do_not_write_into_one_campaign(campaign, monkeypatch, tmp_path):
    monkeypatch.setattr(VendorCampaign, "load", lambda *_: pytest.fail("it read what another is writing"))
    folder = tmp_path / "selftest" / "vendor"
    folder.mkdir(parents=True)
    with RunLock(folder), pytest.raises(StoreError, match="another process is writing here"):
        campaign()


def test_who_is_asked_to_end_ends_its_tools_as_on_ctrl_c(campaign, monkeypatch, tmp_path):
    handlers: list[object] = []
    monkeypatch.setattr(VendorCampaign, "measure", lambda *_: bool(handlers.append(signal.getsignal(signal.SIGTERM))))
    arguments = ["--threads", "1", "--rounds", "1", "--json", "--output", str(tmp_path)]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == INTERRUPTED
    assert handlers == [signal.default_int_handler]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
