"""Which step a process is at, in a file: a converter that kills the process tells nobody else what it died of."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from steelyard.core.errors import LoweringError
from steelyard.lowering.steps import Step


class Attempts:
    """`file` holds name and label of the step that is under way; None where nobody asks. `died_of` are the steps that
    processes before this one died of, with how."""

    def __init__(self, file: Path | None, died_of: Mapping[str, str]) -> None:
        self._file, self._died_of = file, died_of

    @contextmanager
    def at(self, step: Step) -> Iterator[None]:
        """Within, this process is at the step. Raises LoweringError where an earlier one died of it."""
        if how := self._died_of.get(step.name):
            raise LoweringError(f"{step.label}: the process that made it ended with {how}")
        if self._file is None:
            yield
            return
        self._file.write_text(f"{step.name}\n{step.label}")
        try:
            yield
        finally:
            self._file.unlink()


def left_at(file: Path) -> tuple[str, str] | None:
    """Name and label of the step that a process which was killed was at; None where it was at none."""
    if not file.exists():
        return None
    name, _, label = file.read_text().partition("\n")
    file.unlink()
    return name, label
