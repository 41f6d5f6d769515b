"""Hardware profiles: every value follows from the figure as printed, and a device's name finds one profile."""

import math
import os
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.backend import Device
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.hardware import profiles as module
from steelyard.hardware.computed_peak import computed_peak, computed_peaks
from steelyard.hardware.printed import base_units
from steelyard.hardware.profiles import declared, parse_profile, profile_of, profiles
from steelyard.hardware.tpu import DEVICES_OF

FILE = """
model = "A chip"
kind = "cuda"
names = ["A Chip*"]

[sources.sheet]
document = "Data sheet"
publisher = "A vendor"
standing = "vendor"
url = "https://example.org/sheet"
date = "2024-05"
read = 2026-11-25

[peak_dense_per_s.float16]
value = 5e14
printed = "1,000 TFLOPS"
source = "sheet"
place = "page 2, FP16"
factor = 0.5
reason = "printed with sparsity"

[memory_bytes]
value = 34359738368
printed = "32 GiB"
source = "sheet"
place = "page 1"
"""
# Names as drivers and runtimes print them.
DEVICES = [
    ("NVIDIA H100 80GB HBM3", "cuda", "NVIDIA H100 SXM 80GB"),
    ("NVIDIA H200", "cuda", "NVIDIA H200 SXM 141GB"),
    ("NVIDIA A100-SXM4-80GB", "cuda", "NVIDIA A100 SXM 80GB"),
    ("A100-SXM4-40GB", "cuda", "NVIDIA A100 SXM 40GB"),
    ("Tesla V100-SXM2-16GB", "cuda", "NVIDIA V100 SXM2 16GB"),
    ("Tesla T4", "cuda", "NVIDIA T4"),
    ("NVIDIA L4", "cuda", "NVIDIA L4"),
    ("NVIDIA L40", "cuda", "NVIDIA L40"),
    ("NVIDIA L40S", "cuda", "NVIDIA L40S"),
    ("NVIDIA B200", "cuda", "NVIDIA B200"),
    ("NVIDIA GB200", "cuda", "NVIDIA GB200 (one GPU)"),
    ("AMD Instinct MI300X", "rocm", "AMD Instinct MI300X"),
    ("AMD Instinct MI300A", "rocm", "AMD Instinct MI300A"),
    ("AMD INSTINCT MI250 (MCM) OAM AC MBA", "rocm", "AMD Instinct MI250"),
    ("AMD Instinct MI250X", "rocm", "AMD Instinct MI250X"),
    ("AMD Instinct MI325X", "rocm", "AMD Instinct MI325X"),
    ("AMD Instinct MI355X", "rocm", "AMD Instinct MI355X"),
    ("TPU v5 lite", "tpu", "Google TPU v5e"),
    ("TPU v5", "tpu", "Google TPU v5p"),
    ("tpu V6 LITE", "tpu", "Google TPU v6e (Trillium)"),
    ("GAUDI2", "hpu", "Intel Gaudi 2"),
    ("GAUDI", "hpu", "Intel Gaudi"),
]


@pytest.fixture
def pair(monkeypatch):
    """Two profiles that both claim "A Chip"."""
    twice = (parse_profile(FILE, "a.toml"), parse_profile(FILE.replace("A chip", "Another"), "b.toml"))
    monkeypatch.setattr(module, "profiles", lambda: twice)


def test_every_value_equals_what_is_printed():
    for profile in profiles():
        assert profile.facts, profile.model
        for field, fact in profile.facts.items():
            where = f"{profile.model}: {field}"
            if isinstance(fact.value, str) or field == "year":
                assert str(fact.value) == fact.printed, where
            else:
                assert math.isclose(fact.value, base_units(fact.printed)[0] * fact.factor, rel_tol=1e-9), where
                assert fact.value > 0, where
            assert (fact.factor == 1) == (fact.reason is None), where


def test_every_source_says_what_was_read_and_when():
    for profile in profiles():
        for fact in profile.facts.values():
            source = fact.source
            assert fact.place, profile.model
            assert all((source.document, source.publisher, source.date)), profile.model
            assert source.url.startswith("https://"), profile.model


def test_at_least_twenty_models_one_file_each():
    files = [path for path in resources.files("steelyard.hardware_profiles").iterdir() if path.name.endswith(".toml")]
    assert len(profiles()) == len(files) >= 20
    assert len({profile.model for profile in profiles()}) == len(files)


def test_sparse_peaks_are_never_below_dense_ones():
    for profile in profiles():
        for dtype, sparse in profile.peak_sparse_per_s.items():
            assert sparse.value > profile.peak_dense_per_s[dtype].value, (profile.model, dtype)


def test_no_name_fits_two_profiles():
    for profile in profiles():
        for name in profile.names:
            for example in (name.replace("*", ""), name.replace("*", " X"), name.replace("*", "NVIDIA ")):
                fits = {other.model for other in profiles() if other.kind == profile.kind and other.matches(example)}
                assert fits <= {profile.model}, example
            assert profile_of(name.replace("*", ""), profile.kind) is profile


@pytest.mark.parametrize(("name", "kind", "model"), DEVICES)
def test_a_device_finds_its_profile(name, kind, model):
    assert profile_of(name, kind).model == model


def device(kind, name):
    return Device(kind=kind, index=0, name=name, memory_bytes=None)


def test_a_die_of_a_module_has_its_share_and_says_so():
    module = profile_of("AMD Instinct MI250", "rocm")
    die = declared(device("rocm", "AMD Instinct MI250"))
    for dtype, fact in module.peak_dense_per_s.items():
        share = die.peak_dense_per_s[dtype]
        assert share.value == fact.value / 2
        assert share.value == base_units(share.printed)[0] * share.factor
        assert share.reason == "one of the 2 devices of the module"
    assert die.memory_bandwidth_bytes_per_s.value == 1.6e12
    assert (die.devices, die.model) == (1, "AMD Instinct MI250 (one of the 2 devices of the module)")
    assert die.of_one_device() is die


def test_a_share_keeps_the_reason_of_a_factor_and_leaves_out_what_cannot_be_shared():
    power = FILE + '[power_limit_w]\nvalue = 500\nprinted = "500 W"\nsource = "sheet"\nplace = "page 3"\n'
    die = parse_profile(power.replace('kind = "cuda"', 'kind = "cuda"\ndevices = 2'), "a.toml").of_one_device()
    fact = die.peak_dense_per_s["float16"]
    assert (fact.value, fact.factor) == (2.5e14, 0.25)
    assert fact.reason == "printed with sparsity; one of the 2 devices of the module"
    assert (die.memory_bytes.value, die.power_limit_w) == (16 << 30, None)


def test_what_is_one_device_has_all_of_it():
    whole = profile_of("NVIDIA H100 80GB HBM3", "cuda")
    assert declared(device("cuda", "NVIDIA H100 80GB HBM3")) is whole
    assert declared(device("cuda", "NVIDIA H100 PCIe")) is None


def test_no_part_of_a_split_board_has_the_figures_of_the_whole():
    for profile in profiles():
        for name in profile.names:
            assert profile_of(f"{name.replace('*', 'NVIDIA ')} MIG 1g.10gb", "cuda") is None


@pytest.mark.parametrize("name", DEVICES_OF)
def test_tpu_profiles_know_how_many_devices_a_chip_is(name):
    assert profile_of(name, "tpu").devices == DEVICES_OF[name]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NVIDIA H100 PCIe", "cuda"),
        ("AMD Instinct MI210", "rocm"),
        ("AMD MI300X OAM part (CPX)", "rocm"),
        ("NVIDIA H100 80GB HBM3", "rocm"),
        ("NVIDIA H200 NVL", "cuda"),
        ("Tesla V100-PCIE-16GB", "cuda"),
        ("", "cpu"),
    ],
)
def test_a_similar_device_has_no_profile(name, kind):
    assert profile_of(name, kind) is None


def test_two_profiles_for_one_name_are_an_error(pair):
    with pytest.raises(SteelyardError, match="A chip, Another"):
        profile_of("A Chip 2", "cuda")


def test_what_was_not_read_is_none():
    profile = parse_profile(FILE, "a.toml")
    assert profile.power_limit_w is None
    assert profile.devices is None
    assert set(profile.facts) == {"peak_dense_per_s.float16", "memory_bytes"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value = 5e14", "value = 1e15", "1,000 TFLOPS"),
        ("value = 34359738368", "value = 32000000000", "32 GiB"),
        ("value = 34359738368", "value = 0", "32 GiB"),
        ('printed = "32 GiB"', 'printed = "32 GiB/s"', "memory_bytes"),
        ('printed = "32 GiB"', 'printed = "32 lots"', "unknown unit 'lots'"),
        ('reason = "printed with sparsity"', "", "go together"),
        ("factor = 0.5", "", "go together"),
        ("peak_dense_per_s.float16", "peak_dense_per_s.half", "unknown dtype half"),
        ('standing = "vendor"', 'standing = "rumour"', "rumour"),
        ('place = "page 1"', "", "place"),
        ('source = "sheet"', 'source = "other"', "other"),
        ('kind = "cuda"', 'kind = "cuda"\nspeed = 3', "speed"),
        ('model = "A chip"', "", "model"),
        ('kind = "cuda"', "kind =", "Invalid"),
    ],
)
def test_a_wrong_file_is_refused_by_name(old, new, message):
    assert old in FILE
    with pytest.raises(SteelyardError, match=rf"hardware_profiles/a\.toml: .*{message}"):
        parse_profile(FILE.replace(old, new), "hardware_profiles/a.toml")


@pytest.fixture
def named(monkeypatch):
    """Profiles read anew, with the variable that names the user's own."""

    def name(*entries):
        monkeypatch.setenv(module.VARIABLE, os.pathsep.join(map(str, entries)))
        profiles.cache_clear()

    yield name
    profiles.cache_clear()


def test_files_and_folders_of_the_user_are_read_too(named, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/b.toml").write_text(FILE.replace("A chip", "Mine").replace("A Chip", "My Chip"))
    (tmp_path / "a.toml").write_text(FILE)
    named(tmp_path / "a.toml", tmp_path / "folder")
    assert [profile.model for profile in profiles()[-2:]] == ["A chip", "Mine"]
    assert profile_of("A Chip 2", "cuda").model == "A chip"


def test_a_file_of_the_user_that_is_missing_or_wrong_is_named(named, tmp_path):
    named(tmp_path / "none.toml")
    with pytest.raises(UsageError, match=r"STEELYARD_PROFILES names '.*none\.toml', and there is no such file"):
        profiles()
    (tmp_path / "wrong.toml").write_text("model = 1")
    named(tmp_path / "wrong.toml")
    with pytest.raises(SteelyardError, match=r"wrong\.toml: .*sources"):
        profiles()


@pytest.mark.parametrize(
    ("printed", "value", "unit"),
    [
        ("197 TFLOPs", 1.97e14, "1/s"),
        ("2,563 TFLOPS", 2.563e15, "1/s"),
        ("1836 TOPs", 1.836e15, "1/s"),
        ("0.8 POPS", 8e14, "1/s"),
        ("16 GB", 16e9, "B"),
        ("32GiB", 32 * 2**30, "B"),
        ("819 GBps", 819e9, "B/s"),
        ("400 Gbps", 50e9, "B/s"),
        ("9.6 Tb/s", 1.2e12, "B/s"),
        ("820 GiB/sec", 820 * 2**30, "B/s"),
        ("5.3 TB per second", 5.3e12, "B/s"),
        ("700W", 700, "W"),
    ],
)
def test_printed_figures(printed, value, unit):
    figure, found = base_units(printed)
    assert (found, figure) == (unit, pytest.approx(value, rel=1e-12))


@pytest.mark.parametrize("printed", ["", "TFLOPS", "1.5", "1,5 TFLOPS", "12 34 W", "-3 W", "1,00 W", "1 tflops"])
def test_what_is_no_figure_is_refused(printed):
    with pytest.raises(UsageError, match="printed"):
        base_units(printed)


@given(number=st.integers(min_value=1, max_value=10**9))
def test_thousands_may_be_parted_by_commas(number):
    assert base_units(f"{number:,} W") == base_units(f"{number} W") == (number, "W")


def test_a_computed_peak_is_labelled_and_says_what_it_assumes():
    peak = computed_peak(cores=10, clock_hz=3.3e9, isa=["avx2", "fma", "avx512f"], dtype="float32")
    assert peak.origin == "computed"
    assert peak.per_s == pytest.approx(10 * 3.3e9 * 64)
    assert "10 cores x 3.3 GHz" in peak.assumptions
    assert "2 AVX-512 FMA units" in peak.assumptions


@pytest.mark.parametrize(
    ("isa", "dtype", "per_cycle"),
    [
        ({"avx2", "fma"}, "float32", 32),
        ({"avx2", "fma"}, "float64", 16),
        ({"avx2", "fma", "avx512f"}, "float64", 32),
        ({"amx_tile", "amx_bf16", "avx512f"}, "bfloat16", 1024),
    ],
)
def test_operations_per_cycle(isa, dtype, per_cycle):
    assert computed_peak(cores=1, clock_hz=1.0, isa=isa, dtype=dtype).per_s == per_cycle


@pytest.mark.parametrize(
    ("isa", "dtype"),
    [
        (set(), "float32"),
        ({"avx2"}, "float32"),
        ({"asimd"}, "float32"),
        ({"avx512f"}, "bfloat16"),
        ({"amx_tile"}, "int8"),
    ],
)
def test_no_peak_where_no_rate_is_known(isa, dtype):
    assert computed_peak(cores=4, clock_hz=2e9, isa=isa, dtype=dtype) is None


@pytest.mark.parametrize(("cores", "clock_hz"), [(0, 1e9), (2, 0.0), (2, -1.0)])
def test_a_machine_without_cores_or_clock_is_refused(cores, clock_hz):
    with pytest.raises(ValueError, match="no peak"):
        computed_peak(cores=cores, clock_hz=clock_hz, isa={"avx512f"}, dtype="float32")


XEON = "flags\t\t: fma avx2 avx512f\n"


def clocked(root, frequencies, cores=None):
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(XEON)
    for cpu, kilohertz in enumerate(frequencies):
        base = root / f"sys/devices/system/cpu/cpu{cpu}"
        (base / "cpufreq").mkdir(parents=True)
        (base / "topology").mkdir()
        (base / "cpufreq/cpuinfo_max_freq").write_text(str(kilohertz))
        (base / "topology/physical_package_id").write_text("0")
        (base / "topology/core_id").write_text(str(cpu if cores is None else cores[cpu]))
    return root


def test_the_peaks_of_a_budgets_cores_take_the_highest_clock(tmp_path):
    root = clocked(tmp_path, [2_000_000, 3_000_000])
    double, single = computed_peaks((0, 1), root)
    assert (double.dtype, single.dtype) == ("float64", "float32")
    assert single.per_s == pytest.approx(2 * 3e9 * 64)
    assert computed_peaks((0,), root)[1].per_s == pytest.approx(2e9 * 64)


def test_two_threads_of_a_core_are_one_core(tmp_path):
    root = clocked(tmp_path, [3_000_000, 3_000_000], cores=[7, 7])
    assert computed_peaks((0, 1), root)[1].per_s == pytest.approx(3e9 * 64)


def test_without_the_highest_clock_there_is_no_bound(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(XEON + "cpu MHz\t\t: 2445.400\n")
    assert computed_peaks((0, 1), tmp_path) == ()
