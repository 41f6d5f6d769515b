"""Which board NVML means by the index that CUDA gives a device: the two count apart, and a UUID joins them.

CUDA counts what CUDA_VISIBLE_DEVICES names, in that order, by index or by UUID; launches are started with
CUDA_DEVICE_ORDER=PCI_BUS_ID, so that an index in it is a place in the order of the PCI bus. NVML promises no order.
Of boards that are split (MIG) a process of CUDA sees one part alone, and no whole board beside it.
NVIDIA: CUDA Programming Guide, CUDA Environment Variables; MIG User Guide, Device Enumeration.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

VARIABLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visible:
    """A device as CUDA counts it: `board` is NVML's handle of the whole board, `part` that of what computes, which is
    the board unless it is split. `index` and `instance` are NVML's; `uuids` are the names that the device answers to,
    the fullest first, none where the driver does not tell one."""

    index: int
    instance: int | None
    board: Any
    part: Any
    uuids: tuple[str, ...]


def visible(nvml: Any, environment: Mapping[str, str] = os.environ) -> tuple[Visible, ...]:
    """The devices that a process with this environment sees, in CUDA's order. Raises the binding's NVMLError."""
    boards = sorted(_boards(nvml), key=lambda board: _address(nvml, board.board))
    split = {board.index: tuple(_instances(nvml, board)) for board in boards}
    text = environment.get(VARIABLE)
    parts = [part for board in boards for part in split[board.index]]
    devices = (*boards, *parts)
    named = [devices[place] for place in chosen_of(text, [device.uuids for device in devices], count=len(boards))]
    chosen = [split[device.index][0] if device.instance is None and split[device.index] else device for device in named]
    first = next((device for device in chosen if device.instance is not None), None)
    return tuple(chosen) if first is None else (first,)


def visible_at(nvml: Any, index: int) -> Visible:
    """The device that CUDA gives this index. Raises the binding's NVMLError, also where there is none."""
    found = visible(nvml)
    if not 0 <= index < len(found):
        raise nvml.NVMLError(nvml.NVML_ERROR_INVALID_ARGUMENT)
    return found[index]


def chosen_of(text: str | None, names: Sequence[Sequence[str]], *, count: int | None = None) -> list[int]:
    """The places in `names` that a list such as CUDA_VISIBLE_DEVICES or ROCR_VISIBLE_DEVICES names, in its order.

    An entry is a number below `count` (all of them, if None) or the beginning of one device's name and no other's.
    What follows an entry that names nothing, or a device again, is not seen; without a list all numbers are.
    """
    numbered = len(names) if count is None else count
    if text is None:
        return list(range(numbered))
    found: list[int] = []
    for entry in text.split(","):
        place = _place(entry.strip(), names, numbered)
        if place is None or place in found:
            break
        found.append(place)
    return found


def _place(entry: str, names: Sequence[Sequence[str]], numbered: int) -> int | None:
    if entry.isdecimal():
        return int(entry) if int(entry) < numbered else None
    lowered = entry.lower()
    fits = [place for place, given in enumerate(names) if any(name.lower().startswith(lowered) for name in given)]
    return fits[0] if entry and len(fits) == 1 else None


def _boards(nvml: Any) -> Iterator[Visible]:
    for index in range(nvml.nvmlDeviceGetCount()):
        board = nvml.nvmlDeviceGetHandleByIndex(index)
        yield Visible(index=index, instance=None, board=board, part=board, uuids=_uuids(nvml, board))


def _instances(nvml: Any, board: Visible) -> Iterator[Visible]:
    """The parts of a board that is split, by NVML's index."""
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(board.board)
        places = nvml.nvmlDeviceGetMaxMigDeviceCount(board.board) if current == nvml.NVML_DEVICE_MIG_ENABLE else 0
    except nvml.NVMLError:  # boards that cannot be split answer "not supported"
        return
    for place in range(places):
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(board.board, place)
            within = f"{nvml.nvmlDeviceGetGpuInstanceId(part)}/{nvml.nvmlDeviceGetComputeInstanceId(part)}"
        except nvml.NVMLError:  # the places of a board are not all taken
            continue
        earlier = tuple(f"MIG-{uuid}/{within}" for uuid in board.uuids)  # as drivers before 470 wrote it
        yield Visible(
            index=board.index, instance=place, board=board.board, part=part, uuids=_uuids(nvml, part) + earlier
        )


def _uuids(nvml: Any, handle: Any) -> tuple[str, ...]:
    try:
        found = nvml.nvmlDeviceGetUUID(handle)
    except nvml.NVMLError:  # then the device can be named by its place alone
        return ()
    return (found.decode() if isinstance(found, bytes) else str(found),)


def _address(nvml: Any, board: Any) -> tuple[int, int, int]:
    pci = nvml.nvmlDeviceGetPciInfo(board)
    return int(pci.domain), int(pci.bus), int(pci.device)
