"""What runtimes send and write of themselves, and how each is told not to: docs/fairness.md has the list."""

import sys
from collections.abc import Mapping

OFF: Mapping[str, str] = {
    "ORT_DISABLE_TELEMETRY": "1",  # read while it is imported: the call `disable_telemetry_events` comes too late
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",  # a word that several libraries have agreed on
}
"""Variables of every process that we start, for the runtimes that read one."""


def without_telemetry() -> None:
    """Keep OpenVINO from reporting over the network, and from forking a process to do so.

    Called first in every process that may import it, by whatever way (`torch.compile` imports it for its backend of
    that name). It reports unless the optional package openvino-telemetry is missing or the user has a consent file
    that says no, and reads no variable; so the package is made to look missing, which OpenVINO provides for.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
