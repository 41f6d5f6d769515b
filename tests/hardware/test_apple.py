"""The GPU of an Apple chip by what macOS prints; the outputs are those of an M4 Max, shortened."""

import json
import subprocess

import pytest

from steelyard.hardware.apple import apple_facts
from steelyard.hardware.profiles import profile_of

DISPLAYS = {
    "SPDisplaysDataType": [
        {
            "_name": "kHW_AppleM4MaxItem",
            "spdisplays_mtlgpufamilysupport": "spdisplays_metal3",
            "spdisplays_ndrvs": [{"_name": "Color LCD", "_spdisplays_display-serial-number": "fd626d62"}],
            "spdisplays_vendor": "sppci_vendor_Apple",
            "sppci_bus": "spdisplays_builtin",
            "sppci_cores": "40",
            "sppci_device_type": "spdisplays_gpu",
            "sppci_model": "Apple M4 Max",
        }
    ]
}


def mac(displays=DISPLAYS, memory="137438953472\n"):
    def ask(command):
        if command[0].endswith("sysctl"):
            return memory
        return displays if isinstance(displays, str) else json.dumps(displays)

    return ask


def test_a_mac_with_an_apple_chip():
    (facts,), reason = apple_facts(mac())
    assert reason == ""
    assert facts["driver"]
    assert {name: facts[name] for name in ("name", "memory_bytes", "integrated", "cores", "metal")} == {
        "name": "Apple M4 Max",
        "memory_bytes": 128 << 30,
        "integrated": True,
        "cores": 40,
        "metal": "metal3",
    }
    assert "fd626d62" not in json.dumps(facts)
    assert profile_of(facts["name"], "mps").model


def test_what_is_not_told_has_a_reason():
    (facts,), _ = apple_facts(mac({"SPDisplaysDataType": [{"sppci_model": "Apple M1"}]}, memory=""))
    assert all(facts[name]["reason"] for name in ("memory_bytes", "cores", "metal"))


@pytest.mark.parametrize(
    ("displays", "reason"),
    [
        ("", "no list SPDisplaysDataType"),
        ("[]", "no list SPDisplaysDataType"),
        ({"SPDisplaysDataType": None}, "no list SPDisplaysDataType"),
        ({"SPDisplaysDataType": [{"sppci_model": "AMD Radeon Pro 5500M"}]}, "lists no GPU of Apple's"),
    ],
)
def test_other_answers_are_no_gpu(displays, reason):
    found, why = apple_facts(mac(displays))
    assert found == []
    assert reason in why


def test_a_program_that_fails_is_named():
    def ask(command):
        raise subprocess.TimeoutExpired(command, 20)

    assert apple_facts(ask) == ([], "system_profiler cannot be asked: TimeoutExpired")


def test_elsewhere_nothing_is_asked():
    assert apple_facts() == ([], "this is no macOS on an Apple chip")
