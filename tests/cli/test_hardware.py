"""`bench hardware`: every device with its facts, its declared figures and their sources, on trees of kernel files."""

import getpass
import json
import re
import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from steelyard.cli.main import app
from steelyard.core.errors import UsageError
from steelyard.hardware import choice, described_devices, devices
from tests.fakes.nvml import SETTINGS, loaded
from tests.fakes.sysfs import MI300X, PHOENIX, amd_cpu, amd_gpu, intel_gpu, intel_npu, write
from tests.hardware.test_hardware import leaves

XEON = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8480+
stepping\t: 8
cpu MHz\t\t: 2000.000
flags\t\t: fpu sse4_2 avx avx2 fma avx512f avx512bw amx_tile amx_bf16
"""
SERIAL = "0xfeedc0de12345678"


def bench(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A Xeon of four cores, an Instinct, an integrated GPU beside an Arc, and an NPU."""
    for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    write(tmp_path / "proc", cpuinfo=XEON, meminfo="MemTotal:       67108864 kB")
    for cpu in range(4):
        base = tmp_path / f"sys/devices/system/cpu/cpu{cpu}"
        write(base / "topology", physical_package_id=cpu // 2, core_id=cpu % 2)
        write(base / "cpufreq", cpuinfo_max_freq=3_800_000, base_frequency=2_000_000)
    amd_cpu(tmp_path)
    amd_gpu(tmp_path, 1, "0000:c3:00.0", MI300X, unique_id=int(SERIAL, 16), product="AMD Instinct MI300X OAM", hwmon=12)
    intel_gpu(tmp_path, 1, "0000:00:02.0", 0xA7A0, driver="i915", clock_mhz=1500)
    intel_gpu(tmp_path, 0, "0000:03:00.0", 0x56A0, memory=16 << 30, hwmon=3)
    intel_npu(tmp_path)
    survey, whole = devices.survey, described_devices.described
    monkeypatch.setattr(choice, "survey", lambda: survey(tmp_path))
    monkeypatch.setattr(described_devices, "described", lambda: whole(tmp_path))
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2, 3})
    monkeypatch.setenv("STEELYARD_METER_ROOT", str(tmp_path))
    return tmp_path


def test_this_machine_as_tables_of_80_columns():
    output = bench("hardware").output
    assert max(map(len, output.splitlines())) <= 80
    for word in ("cpu: ", "instruction sets", "NUMA nodes", "clock max", "limit of memory", "not found", "tpu", "rapl"):
        assert word in output
    assert not re.search(r"\b0 (MHz|W|GiB|MiB)\b|None|nan|notsupported", output)


def test_this_machine_as_data_has_a_value_or_a_reason_everywhere_and_names_nobody():
    data = json.loads(bench("hardware", "--json").output)
    assert (data.pop("kind"), data.pop("version")) == ("steelyard-hardware", 1)
    assert list(data) == ["devices", "absent", "meters"]
    cpu = data["devices"][0]
    assert cpu["device"] == "cpu"
    assert all(value is not None and value != "" for value in leaves(cpu["facts"]))
    assert {"family", "sockets", "cores", "online", "caches", "isa", "numa_nodes", "limit_cpu_quota"} <= set(
        cpu["facts"]
    )
    assert {"clock_max_hz", "clock_base_hz", "clock_shown_hz"} <= set(cpu["facts"])
    assert all(data["absent"].values())
    assert all(meter["available"] or meter["reason"] for meter in data["meters"])
    names = "|".join(re.escape(name) for name in (getpass.getuser(), socket.gethostname()))
    assert not re.search(rf"(?<!\w)({names})(?!\w)", json.dumps(data))


def test_every_device_has_its_facts_and_each_declared_figure_its_source(machine):
    output = bench("hardware").output
    assert max(map(len, output.splitlines())) <= 80
    for word in (
        "rocm:0: AMD Instinct MI300X OAM",
        "gfx942",
        "2100 MHz",
        "750 W",
        "declared: AMD Instinct MI300X",
        "peak float16",
        "1307.4 TFLOPS",
        "[1] ",
        "https://",
        "xpu:0: Intel GPU 8086:a7a0",
        "xpu:1: Intel GPU 8086:56a0",
        "npu:0: Intel NPU (Lunar Lake)",
        "shares the machine's",
        "peak, computed and not declared",
    ):
        assert word in output, word


def test_the_same_as_data_without_a_number_that_names_the_board(machine):
    text = bench("hardware", "--json").output
    found = {entry["device"]: entry for entry in json.loads(text)["devices"]}
    assert list(found) == ["cpu", "rocm:0", "xpu:0", "xpu:1", "npu:0"]
    board = found["rocm:0"]
    assert board["memory_bytes"] == MI300X["memory"]
    assert (board["facts"]["compute_units"], board["facts"]["power_cap_w"]) == (304, 750.0)
    fact = board["profile"]["peak_dense_per_s"]["float16"]
    assert fact["source"]["document"]
    assert re.fullmatch(r"[0-9a-f]{16}", board["identity"])
    assert SERIAL[2:] not in text
    assert str(int(SERIAL, 16)) not in text
    assert found["xpu:0"]["memory_bytes"]["reason"]
    assert (found["xpu:1"]["memory_bytes"], found["xpu:1"]["facts"]["clock_max_hz"]) == (16 << 30, 2.85e9)
    assert found["xpu:1"]["facts"]["power_cap_w"] == 190.0
    assert found["npu:0"]["facts"]["clock_max_hz"] == 1.95e9
    cpu = found["cpu"]
    assert (cpu["facts"]["sockets"], cpu["facts"]["cores"], cpu["facts"]["clock_max_hz"]) == (2, 4, 3.8e9)
    peaks = {peak["dtype"]: peak for peak in cpu["computed_peaks"]}
    assert peaks["float32"]["per_s"] == pytest.approx(4 * 3.8e9 * 64)
    assert peaks["float32"]["origin"] == "computed"
    assert "AMX" in peaks["bfloat16"]["assumptions"]
    assert all(value is not None and value != "" for entry in found.values() for value in leaves(entry["facts"]))


def test_nvidia_boards_are_told_with_hashed_identities(monkeypatch):
    pytest.importorskip("pynvml")
    loaded()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv(
        SETTINGS, "devices=2;name=NVIDIA H100 80GB HBM3;0.uuid=GPU-a1b2;1.uuid=GPU-c3d4;1.ecc=not_supported"
    )
    text = bench("hardware", "--json").output
    found = {entry["device"]: entry for entry in json.loads(text)["devices"]}
    first, second = found["cuda:0"], found["cuda:1"]
    assert first["profile"]["model"] == "NVIDIA H100 SXM 80GB"
    assert (first["facts"]["power_cap_w"], first["facts"]["sm_clock_max_hz"]) == (700.0, 1.98e9)
    assert second["facts"]["ecc"]["reason"]
    assert first["identity"] != second["identity"]
    assert not re.search("GPU-|a1b2|c3d4", text)
    assert [meter["available"] for meter in json.loads(text)["meters"] if meter["meter"] == "nvml"] == [True]
    output = bench("hardware").output
    assert "declared: NVIDIA H100 SXM 80GB" in output
    assert max(map(len, output.splitlines())) <= 80


@pytest.mark.parametrize(
    ("device", "backend", "refusal"),
    [
        ("rocm", "onnxruntime", "on rocm:0: onnxruntime: .*MIGraphXExecutionProvider"),
        ("xpu:1", "openvino", "on xpu:1: openvino: .*no GPU plugin that works here"),
        ("npu", "openvino", "on npu:0: openvino: .*no NPU plugin that works here"),
    ],
)
def test_a_device_reaches_the_runners_that_declare_it(machine, device, backend, refusal):
    """The kernel's files are there and no such hardware: it is the runner that says what its runtime lacks."""
    with pytest.raises(UsageError, match=refusal):
        bench("run", "--device", device, "--backend", backend, "--baseline", backend, "--size", "tiny", "--dry-run")


def test_a_device_that_is_not_there_says_what_was_looked_at(machine):
    with pytest.raises(
        UsageError, match=r"--device mps: this is no macOS.*This machine has cpu, rocm:0, xpu:0, xpu:1, npu:0"
    ):
        bench("hardware", "ceilings", "--device", "mps")


def test_unasked_a_card_is_taken_and_an_apu_is_not(machine, monkeypatch, tmp_path_factory):
    assert choice.pick_device(None).id == "rocm:0"
    apu = tmp_path_factory.mktemp("apu")
    amd_gpu(apu, 1, "0000:65:00.0", PHOENIX)
    survey = devices.survey
    monkeypatch.setattr(choice, "survey", lambda: survey(apu))
    assert choice.pick_device(None).id == "cpu"
    assert choice.pick_device("rocm").name == "AMD GPU 1002:15bf (gfx1103)"


def test_an_ascii_terminal_and_no_framework(tmp_path):
    code = (
        "import sys; sys.argv = ['bench', 'hardware']\n"
        "from steelyard.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'jax', 'onnxruntime', 'openvino', 'pandas', 'matplotlib', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=tmp_path, stdout=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
    )  # fmt: skip
    assert done.stdout.isascii()
    assert b"\x1b" not in done.stdout
    assert b"energy meters" in done.stdout


def test_a_system_that_pins_no_process_is_described_and_does_not_measure(machine, monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity")
    cpu = json.loads(bench("hardware", "--json").output)["devices"][0]
    assert "measure on Linux" in cpu["facts"]["cpus_of_a_run"]["reason"]
    with pytest.raises(UsageError, match="measure on Linux"):
        bench("run", "--device", "cpu", "--dry-run")


def test_the_group_still_leads_to_ceilings_and_helps():
    assert "ceilings" in bench("hardware", "--help").output
