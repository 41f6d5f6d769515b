"""OpenVINO reports its use over the network when it is imported: a measured process must not."""

import sys


def without_telemetry() -> None:
    """Keep OpenVINO from reporting over the network, and from forking a process to do so. Call it before the import.

    It does both unless the optional package openvino-telemetry is missing, or the user has a consent
    file that says no; so the package is made to look missing, which OpenVINO provides for.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
