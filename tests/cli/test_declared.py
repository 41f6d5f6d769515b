"""What a run says of its device before anything is measured: the model's declared figures, or a CPU's computed ones."""

from dataclasses import replace

import pytest

from steelyard.core.backend import Budget, Device
from steelyard.core.run import Manifest
from steelyard.core.workload import Selection
from steelyard.engine.plan import Request, make_plan
from steelyard.hardware.computed_peak import computed_peaks
from steelyard.service.manifest import manifest_of
from steelyard.store import codec
from tests.fakes.numpy_work import PATH

CPU = Device(kind="cpu", index=0, name="A CPU of no profile", memory_bytes=1 << 30)
H100 = Device(kind="cuda", index=0, name="NVIDIA H100 80GB HBM3", memory_bytes=80 << 30)


@pytest.fixture(scope="module")
def plan():
    return make_plan(
        Request(
            suite="tests.fakes.small_suite:SUITE",
            backends=(PATH,),
            baseline=PATH,
            device=CPU,
            budget=Budget(threads=1, cpus=(0,)),
            selection=Selection(device_kind="cpu"),
        )
    )


def manifest_on(plan, device):
    return manifest_of(replace(plan, request=replace(plan.request, device=device)), {}, print)


def test_a_model_with_a_profile_brings_its_figures_and_their_sources_into_the_run(plan):
    manifest = manifest_on(plan, H100)
    fact = manifest.profile.peak_dense_per_s["bfloat16"]
    assert manifest.profile.model == "NVIDIA H100 SXM 80GB"
    assert fact.printed
    assert fact.source.document
    assert manifest.computed_peaks == ()
    again = codec.from_plain(codec.load(codec.dump(codec.to_plain(manifest)), "test"), Manifest, "test")
    assert again.profile == manifest.profile


def test_one_die_of_a_module_is_held_against_its_own_share(plan):
    module = Device(kind="rocm", index=1, name="AMD Instinct MI250", memory_bytes=64 << 30)
    fact = manifest_on(plan, module).profile.peak_dense_per_s["float16"]
    assert (fact.value, fact.factor, fact.printed) == (1.8105e14, 0.5, "362.1 TFLOPS")


def test_a_model_without_one_has_none_and_no_figure_is_made_up(plan):
    assert manifest_on(plan, replace(H100, name="NVIDIA H100 NVL")).profile is None


def test_a_cpu_without_a_profile_has_the_bounds_of_its_cores_or_none(plan):
    manifest = manifest_on(plan, CPU)
    assert manifest.profile is None
    assert manifest.computed_peaks == computed_peaks((0,))
    assert all(peak.origin == "computed" for peak in manifest.computed_peaks)
