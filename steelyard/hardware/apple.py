"""The GPU of an Apple chip, as macOS describes it: the output of `system_profiler` and `sysctl`."""

import json
import platform
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from steelyard.guard.environment import for_child
from steelyard.hardware.fact_values import absent, value_or_absent

_DISPLAYS = ("/usr/sbin/system_profiler", "-json", "SPDisplaysDataType")
_MEMORY = ("/usr/sbin/sysctl", "-n", "hw.memsize")
_METAL = "spdisplays_mtlgpufamilysupport"
_TIMEOUT_S = 20.0

Ask = Callable[[Sequence[str]], str]


def apple_facts(ask: Ask | None = None) -> tuple[list[dict[str, Any]], str]:
    """Per GPU of Apple's: name, cores, Metal family, the memory that it shares; and why there is none if so.

    Of what the programs print, serial numbers and displays are not read. `ask` runs one and gives its output.
    """
    if ask is None:
        if (platform.system(), platform.machine()) != ("Darwin", "arm64"):
            return [], "this is no macOS on an Apple chip"
        ask = _output
    try:
        entries = json.loads(ask(_DISPLAYS))["SPDisplaysDataType"]
        found = [_facts(entry, ask) for entry in entries if str(entry.get("sppci_model", "")).startswith("Apple")]
    except (OSError, subprocess.SubprocessError) as error:
        return [], f"system_profiler cannot be asked: {type(error).__name__}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return [], "system_profiler's answer has no list SPDisplaysDataType"
    return found, "" if found else "system_profiler lists no GPU of Apple's"


def _facts(entry: dict[str, Any], ask: Ask) -> dict[str, Any]:
    cores = str(entry.get("sppci_cores", ""))
    memory = ask(_MEMORY).strip()
    return {
        "name": str(entry["sppci_model"]),
        "memory_bytes": int(memory) if memory.isdecimal() else absent("sysctl tells no hw.memsize"),
        "integrated": True,
        "cores": int(cores) if cores.isdecimal() else absent("system_profiler does not tell them"),
        "metal": value_or_absent(
            str(entry.get(_METAL, "")).removeprefix("spdisplays_"), "system_profiler does not tell it"
        ),
        "driver": f"macOS {platform.mac_ver()[0]}" if platform.mac_ver()[0] else absent("not told by the interpreter"),
    }


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, env=for_child(), check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
    return done.stdout
