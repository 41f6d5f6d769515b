"""`bench doctor --tune`: every step that applies to a tree of kernel files or a stand-in for NVML, and no other."""

import json
import os
import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.metrics import Reading
from steelyard.guard import clocks
from steelyard.guard.gpu import gpu_readings
from steelyard.guard.grades import grade
from steelyard.guard.preflight import preflight
from steelyard.guard.quieten import TuneStep, steps
from tests.guard.test_energy import FakeNvml as EnergyNvml
from tests.guard.test_energy import NvmlError

CPU = "sys/devices/system/cpu"
LOUD = {
    "proc/stat": "cpu0 1 1 1 1\ncpu1 1 1 1 1\ncpu2 1 1 1 1\n",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "schedutil",
    f"{CPU}/intel_pstate/no_turbo": "0",
    f"{CPU}/smt/active": "1",
    f"{CPU}/isolated": "",
    "proc/77/comm": "irqbalance",
    "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never",
    "proc/sys/vm/swappiness": "60",
    "proc/swaps": "Filename Type Size\n/swapfile file 100",
    "proc/sys/kernel/perf_event_paranoid": "2",
    "proc/sys/kernel/nmi_watchdog": "1",
    "proc/sys/kernel/numa_balancing": "1",
    "sys/devices/system/node/node0/x": "",
    "sys/devices/system/node/node1/x": "",
}


@pytest.fixture
def tree(tmp_path):
    def fill(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return fill


def test_each_step_names_the_command_and_its_undoing(tree):
    found = {step.name: step for step in steps([0, 1], root=tree(LOUD))}
    assert {name: (step.do, step.undo) for name, step in found.items()} == {
        "governor": (
            "sudo cpupower -c 0,1 frequency-set --governor performance",
            "sudo cpupower -c 0 frequency-set --governor powersave; "
            "sudo cpupower -c 1 frequency-set --governor schedutil",
        ),
        "turbo": (f"echo 1 | sudo tee /{CPU}/intel_pstate/no_turbo", f"echo 0 | sudo tee /{CPU}/intel_pstate/no_turbo"),
        "smt": (f"echo off | sudo tee /{CPU}/smt/control", f"echo on | sudo tee /{CPU}/smt/control"),
        "isolation": (
            "sudo cset shield --cpu 0,1 --kthread on; then: sudo cset shield --exec -- bench run --cpus 0,1",
            "sudo cset shield --reset",
        ),
        "irqbalance": ("sudo systemctl stop irqbalance", "sudo systemctl start irqbalance"),
        "transparent huge pages": (
            "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
            "echo always | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        "swappiness": ("sudo sysctl -w vm.swappiness=1", "sudo sysctl -w vm.swappiness=60"),
        "perf events": ("sudo sysctl -w kernel.perf_event_paranoid=1", "sudo sysctl -w kernel.perf_event_paranoid=2"),
        "watchdog": ("sudo sysctl -w kernel.nmi_watchdog=0", "sudo sysctl -w kernel.nmi_watchdog=1"),
        "NUMA balancing": ("sudo sysctl -w kernel.numa_balancing=0", "sudo sysctl -w kernel.numa_balancing=1"),
    }
    assert all(step.found and step.changes for step in found.values())


@pytest.mark.parametrize(
    ("gone", "files"),
    [
        ("governor", {f"{CPU}/cpu{n}/cpufreq/scaling_governor": "performance" for n in (0, 1)}),
        ("turbo", {f"{CPU}/intel_pstate/no_turbo": "1"}),
        ("smt", {f"{CPU}/smt/active": "0"}),
        ("isolation", {f"{CPU}/isolated": "0-1"}),
        ("isolation", {"proc/stat": "cpu0 1 1 1 1\ncpu1 1 1 1 1\n"}),
        ("irqbalance", {"proc/77/comm": "bash"}),
        ("transparent huge pages", {"sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never"}),
        ("swappiness", {"proc/swaps": "Filename Type Size"}),
        ("perf events", {"proc/sys/kernel/perf_event_paranoid": "-1"}),
        ("watchdog", {"proc/sys/kernel/nmi_watchdog": "0"}),
        ("NUMA balancing", {"proc/sys/kernel/numa_balancing": "0"}),
    ],
)
def test_what_is_quiet_already_is_not_offered(tree, gone, files):
    names = {step.name for step in steps([0, 1], root=tree({**LOUD, **files}))}
    assert gone not in names
    assert len(names) == 9


def test_amd_turbo_has_a_switch_of_its_own_and_nothing_is_made_up(tree, tmp_path):
    (step,) = steps([0], root=tree({f"{CPU}/cpufreq/boost": "1"}))
    assert (step.do, step.undo) == (
        f"echo 0 | sudo tee /{CPU}/cpufreq/boost",
        f"echo 1 | sudo tee /{CPU}/cpufreq/boost",
    )
    assert steps([0], root=tmp_path / "empty") == ()


def test_the_command_line_prints_and_runs_nothing(monkeypatch):
    more = TuneStep(name="it", found="it is", do="sudo do-it", changes="it", undo="sudo undo-it")
    started = []
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: started.append(a))
    monkeypatch.setattr(os, "system", started.append)
    monkeypatch.setattr("steelyard.guard.quieten.steps", lambda cpus, gpu: (*steps(cpus, gpu=gpu), more))
    text = CliRunner().invoke(app, ["doctor", "--tune"], catch_exceptions=False).output
    assert "None of these was run" in text
    assert "sudo do-it\n# undo: sudo undo-it" in text
    data = json.loads(CliRunner().invoke(app, ["doctor", "--tune", "--json"], catch_exceptions=False).output)
    assert data["kind"] == "steelyard-tune"
    assert data["steps"][-1]["do"] == "sudo do-it"
    assert not started


class FakeNvml(EnergyNvml):
    """A board of which a test says what others do to it. As the module `pynvml` it is an instance."""

    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM = 1
    nvmlClocksEventReasonSwPowerCap = 0x04
    nvmlClocksEventReasonHwSlowdown = 0x08
    nvmlClocksEventReasonSwThermalSlowdown = 0x20
    nvmlClocksEventReasonHwThermalSlowdown = 0x40
    nvmlClocksEventReasonHwPowerBrakeSlowdown = 0x80

    def __init__(self, **facts):
        super().__init__()
        self.facts = {"processes": 0, "enforced": 700_000, "reasons": 1, "celsius": 40, "persistence": 1} | facts
        self.open = 0

    def answer(self, name):
        value = self.facts[name]
        if isinstance(value, Exception):
            raise value
        return value

    def nvmlInit(self):
        if "init" in self.facts:
            raise self.facts["init"]
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetComputeRunningProcesses(self, board):
        return [SimpleNamespace(pid=number) for number in range(self.answer("processes"))]

    def nvmlDeviceGetEnforcedPowerLimit(self, board):
        return self.answer("enforced")

    def nvmlDeviceGetPowerManagementDefaultLimit(self, board):
        return 700_000

    def nvmlDeviceGetCurrentClocksEventReasons(self, board):
        return self.answer("reasons")

    def nvmlDeviceGetTemperatureV(self, board, sensor):
        return self.answer("celsius")

    def nvmlDeviceGetPersistenceMode(self, board):
        return self.answer("persistence")

    def nvmlDeviceGetMaxClockInfo(self, board, kind):
        return 1980


@pytest.fixture
def board(monkeypatch):
    def install(**facts):
        nvml = FakeNvml(**facts)
        monkeypatch.setitem(sys.modules, "pynvml", nvml)
        return nvml

    return install


@pytest.mark.parametrize(
    ("facts", "key", "value", "letter"),
    [
        ({}, "gpu_processes", 0, "A"),
        ({"processes": 1}, "gpu_processes", 1, "D"),
        ({"processes": 2}, "gpu_processes", 2, "F"),
        ({"enforced": 350_000}, "gpu_power_cap_share", 0.5, "B"),
        ({"reasons": 0x01}, "gpu_slowdowns", 0, "A"),  # idle
        ({"reasons": 0x40}, "gpu_slowdowns", 1, "C"),
        ({"reasons": 0xE8}, "gpu_slowdowns", 4, "F"),
        ({"celsius": 85}, "gpu_temperature_k", 358.15, "C"),
    ],
)
def test_the_board_is_graded(board, facts, key, value, letter):
    nvml = board(**facts)
    readings = gpu_readings(0)
    assert readings[key].value == pytest.approx(value)
    assert grade({"hiccup_share": Reading(value=0.0, unit="1"), **readings})[0] == letter
    assert nvml.open == 0


def test_what_the_board_does_not_tell_is_absent_with_its_reason(board):
    board(processes=NvmlError(3))
    readings = gpu_readings(0)
    assert (readings["gpu_processes"].value, readings["gpu_processes"].reason) == (None, "NVML: error 3")
    assert readings["gpu_temperature_k"].value is not None
    board(init=NvmlError(9))
    assert {reading.reason for reading in gpu_readings(0).values()} == {"NVML: error 9"}
    assert {reading.reason for reading in gpu_readings(None).values()} == {"the run uses no GPU"}


def test_the_board_is_tuned_by_commands_that_can_be_undone(board, tmp_path):
    board(persistence=0, enforced=300_000)
    assert [(step.do, step.undo) for step in steps([0], gpu=0, root=tmp_path)] == [
        ("sudo nvidia-smi -i 0 -pm 1", "sudo nvidia-smi -i 0 -pm 0"),
        ("sudo nvidia-smi -i 0 -lgc 1320,1320", "sudo nvidia-smi -i 0 -rgc"),
        ("sudo nvidia-smi -i 0 -pl 700", "sudo nvidia-smi -i 0 -pl 300"),
    ]
    board(init=NvmlError(9))
    assert steps([0], gpu=0, root=tmp_path) == ()


def test_the_clock_is_read_under_load_and_held_against_its_maximum(tree):
    root = tree(
        {
            f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "3600000",
            f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "4000000",
            f"{CPU}/cpu1/cpufreq/scaling_cur_freq": "1200000",
            f"{CPU}/cpu1/cpufreq/cpuinfo_max_freq": "4000000",
            "proc/cpuinfo": "cpu MHz\t\t: 2300.000\n",
        }
    )
    assert clocks.clock_hz([0], root).value == 3.6e9
    assert clocks.clock_hz([0, 1], root).value == 1.2e9
    assert clocks.clock_share(clocks.clock_hz([0, 1], root), [0, 1], root).value == pytest.approx(0.3)
    assert clocks.clock_hz([7], root).value == 2.3e9
    assert "maximum" in clocks.clock_share(clocks.clock_hz([7], root), [7], root).reason
    noise = preflight([0, 1], spin_s=0.05, idle_s=0.0, root=root)
    assert noise.readings["clock_share"].value == pytest.approx(0.3)
    assert any("stays at 30% of its maximum" in text for text in noise.evidence)
    assert {"hiccup_share/cpu0", "hiccup_share/cpu1"} <= set(noise.readings)
    worst = max(noise.readings[f"hiccup_share/cpu{n}"].value for n in (0, 1))
    assert noise.readings["hiccup_share"].value == worst
    speeds = [noise.readings[f"spin_hz/cpu{n}"].value for n in (0, 1)]
    assert noise.readings["spin_hz"].value == min(speeds) > 1e5
    assert "outside of gaps; the slowest, CPU" in noise.readings["spin_hz"].method


def test_turbo_alone_costs_the_best_grade():
    quiet = {"hiccup_share": Reading(value=0.0, unit="1")}
    assert grade(quiet) == ("A", ())
    letter, evidence = grade({**quiet, "turbo": Reading(value=1.0, unit="1", method="cpufreq/boost")})
    assert letter == "B"
    assert "turbo is on" in evidence[0]
