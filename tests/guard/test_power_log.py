"""Logs as loggers really write them: rows that are no numbers, byte order marks, other separators, wrong clocks."""

import os

import pytest

from steelyard.core.errors import UsageError
from steelyard.guard.external import ExternalLog
from steelyard.guard.live_log import PATIENCE_S, check_live
from steelyard.guard.meter_readings import Fault
from steelyard.guard.meter_window import total
from steelyard.guard.meters import meter_for
from steelyard.guard.power_log import read_log

HEADER = "unix_time_s,power_w"


def written(path, rows, header=HEADER):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def energies(path, *windows):
    """The energy of each window (begin and end in seconds) of a log that begins at the host's second 0."""
    now = [0]
    source = ExternalLog(path, lambda: now[0], lambda: now[0] / 1e9, sleep=lambda _: None)
    found = []
    for window in windows:
        reads = []
        for moment in window:
            now[0] = round(moment * 1e9)
            reads.append(source.read())
        found.append(total(source, source.settled(reads)))
    return found


@pytest.mark.parametrize("wrong", ["nan", "inf", "-inf", "-5", "1e9", "ERR", "", "12,5"])
def test_a_power_that_is_none_costs_the_windows_over_it_and_no_other(tmp_path, wrong):
    rows = [f"{n},{wrong if n == 100 else 40}" for n in range(300)]
    spoilt, inside, whole = energies(written(tmp_path / "log.csv", rows), (20.5, 180), (100.2, 200), (102, 250))
    for energy in (spoilt, inside):
        assert (energy.joules, energy.fault.code) == (None, "garbage")
        assert "row 102 of the log" in energy.fault.detail
    assert whole.joules == pytest.approx(148 * 40)


@pytest.mark.parametrize("wrong", ["nan", "inf", "noon"])
def test_a_time_that_is_none_is_a_row_that_is_lost(tmp_path, wrong):
    rows = [f"{wrong if n == 100 else n},40" for n in range(300)]
    spoilt, whole = energies(written(tmp_path / "log.csv", rows), (20, 180), (102, 250))
    assert spoilt.fault == Fault(
        code="garbage", detail=f"row 102 of the log: unix_time_s is {wrong!r}, which is no number"
    )
    assert whole.joules == pytest.approx(148 * 40)


def test_a_counter_that_falls_was_reset(tmp_path):
    rows = [f"{n},{7 * n if n < 100 else 7 * n - 700}" for n in range(300)]
    path = written(tmp_path / "log.csv", rows, "unix_time_s,energy_j")
    spoilt, whole = energies(path, (20, 180), (102, 250))
    assert spoilt.fault == Fault(code="counter_reset", detail="row 102 of the log: energy_j fell from 693 to 0")
    assert whole.joules == pytest.approx(148 * 7)


def test_a_marker_that_is_no_number_moves_no_clock(tmp_path):
    rows = [f"{n},40,{'nan' if n == 5 else 1000 + n if n == 9 else ''}" for n in range(30)]
    log = read_log(written(tmp_path / "log.csv", rows, "time_s,power_w,marker"))
    assert (log.times_s[0], log.times_s[-1], len(log.why)) == (1000, 1029, 1)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_what_spreadsheets_and_windows_write_is_read(tmp_path, encoding, separator):
    path = tmp_path / "log.csv"
    rows = ["unix_time_s;power_w", *(f"{n},25;41,5" for n in range(60))]
    path.write_bytes("".join(f"{row.replace(';', separator)}\r\n" for row in rows).encode(encoding))
    log = read_log(path)
    assert (log.times_s[:2], log.joules[-1], log.why) == ((0.25, 1.25), pytest.approx(59 * 41.5), ())


def test_decimal_commas_between_commas_are_named(tmp_path):
    path = written(tmp_path / "log.csv", [f"{n},0,41,5" for n in range(60)])
    with pytest.raises(UsageError, match="4 values for 2 names: numbers with a decimal comma need semicolons"):
        read_log(path)


NOW = 1_800_000_000.0


class Host:
    """A host's clock, and a logger that appends `every` seconds, with a clock that is `off`; None is one that has
    stopped."""

    def __init__(self, path, *, off=0.0, every=1.0, stopped_s=None):
        self.now, self.path, self.off, self.every, self.slept = NOW, path, off, every, 0.0
        last = NOW - (0.0 if stopped_s is None else stopped_s)
        written(path, [f"{last + off - 60 + n:.2f},40" for n in range(61)])
        self.next = None if stopped_s is not None else NOW + every
        os.utime(path, (last, last))

    def sleep(self, seconds):
        self.now, self.slept = self.now + seconds, self.slept + seconds
        while self.next is not None and self.next <= self.now:
            with self.path.open("a") as stream:
                stream.write(f"{self.next + self.off:.2f},40\n")
            self.next += self.every

    def check(self):
        check_live(self.path, lambda: self.now, self.sleep)


def test_a_log_that_grows_on_this_hosts_clock_is_taken_at_its_next_row(tmp_path):
    host = Host(tmp_path / "log.csv", off=-0.4)
    host.check()
    assert host.slept <= 2


@pytest.mark.parametrize(
    ("circumstances", "told"),
    [
        ({"stopped_s": 86400 * 1.0}, "last row is of 24.0 h ago, and nothing was written for 24.0 h: start the logger"),
        ({"off": -3600.0}, r"last row is of 60.0 min ago, although the file is being written: .*a time zone"),
        ({"off": 3600.0}, "last row is 60.0 min ahead of this host's clock: log Unix time"),
        ({"off": 5.0}, "last row is 5.0 s ahead"),
        ({"stopped_s": 5.0}, "no row came in 15 s: the logger has stopped"),
    ],
)
def test_a_log_that_does_not_keep_up_is_refused_with_what_was_seen(tmp_path, circumstances, told):
    host = Host(tmp_path / "log.csv", **circumstances)
    with pytest.raises(UsageError, match=told):
        host.check()
    assert host.slept <= PATIENCE_S


def test_a_logger_that_died_in_the_run_costs_no_window_any_time(tmp_path):
    path = written(tmp_path / "log.csv", [f"{n},40" for n in range(60)])
    source = meter_for("cpu", log=str(path))
    assert source.fault.code == "off_the_log"
    assert "log.csv: its last row is of" in source.fault.detail
    assert str(tmp_path) not in source.fault.detail
