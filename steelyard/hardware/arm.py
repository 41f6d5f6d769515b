"""What an Arm processor is called: Linux prints its designer's and its own number, and no name.

Numbers: Linux, arch/arm64/include/asm/cputype.h.
"""

from collections.abc import Mapping

_CORES: Mapping[tuple[int, int], str] = {
    (0x41, 0xD03): "Arm Cortex-A53",
    (0x41, 0xD07): "Arm Cortex-A57",
    (0x41, 0xD08): "Arm Cortex-A72",
    (0x41, 0xD0B): "Arm Cortex-A76",
    (0x41, 0xD0C): "Arm Neoverse N1",
    (0x41, 0xD40): "Arm Neoverse V1",
    (0x41, 0xD42): "Arm Cortex-A78AE",
    (0x41, 0xD49): "Arm Neoverse N2",
    (0x41, 0xD4F): "Arm Neoverse V2",
    (0x41, 0xD84): "Arm Neoverse V3",
    (0x41, 0xD8E): "Arm Neoverse N3",
    (0x43, 0x0AF): "Cavium ThunderX2",
    (0xC0, 0xAC3): "Ampere-1",
    (0xC0, 0xAC4): "Ampere-1A",
}


def core_name(implementer: str | None, part: str | None) -> str | None:
    """The name of a core by the two numbers as /proc/cpuinfo prints them, such as 0x41 and 0xd40; None if unknown."""
    try:
        return _CORES.get((int(implementer or "", 16), int(part or "", 16)))
    except ValueError:
        return None
