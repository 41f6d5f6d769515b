"""Lowering seen from outside: one child process for all points, progress as it goes, facts for the manifest."""

from steelyard.core.lowered import LoweredPoint
from steelyard.core.run import LoweredFacts


def facts(lowered: LoweredPoint) -> LoweredFacts:
    """What the manifest keeps of a lowered point: hashes and bytes, no local path."""
    artifacts = {
        f"{role}/{name}": artifact
        for role, program in lowered.programs.items()
        for name, artifact in program.artifacts.items()
    }
    return LoweredFacts(
        point=lowered.point.key,
        identity=lowered.identity,
        weight_bytes={name: artifact.weight_bytes for name, artifact in artifacts.items()},
        weight_notes={name: artifact.weight_note for name, artifact in artifacts.items() if artifact.weight_note},
        artifact_sha256={name: artifact.sha256 for name, artifact in artifacts.items()},
        tolerances={name: {"floor": entry.floor, "limit": entry.limit} for name, entry in lowered.tolerances.items()},
        forced_from=tuple(entry.forced_from for entry in lowered.pool),
        reference_text=lowered.pool[0].text,
    )
