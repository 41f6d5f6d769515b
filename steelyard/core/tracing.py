"""What a runtime's own profiler tells of calls: the contract between runners and `bench profile`.

A launch that is traced is never timed: `Runner.tracer` gives a program with the runtime's profiler in it, the launch
makes calls with the profiler on and off in turns, and what was recorded is stored with what recording cost.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from steelyard.core.errors import Unsupported
from steelyard.core.graph import Site, SourceNode
from steelyard.core.runner import Executable
from steelyard.core.trace import Recording


class Tracer(ABC):
    """A compiled program with its runtime's profiler, made by `Runner.tracer` outside any timed window.

    `executable` is the program that the profiler sees; what is bound to it runs unrecorded before `begin` and after
    `end`, unless the runtime cannot stop recording.
    """

    executable: Executable

    @abstractmethod
    def begin(self) -> None:
        """Start recording."""

    def call(self, run: Callable[[], None]) -> None:
        """Make one recorded call: `run` is `Binding.run`. A tracer that has to mark calls does so here."""
        run()

    @abstractmethod
    def end(self) -> Recording:
        """Stop, and tell what was recorded since `begin`. Raises SteelyardError for a record that cannot be read."""

    def sites(self, recording: Recording, graph: Sequence[SourceNode]) -> tuple[Site, ...]:
        """Where a call of the last recording executed a kernel, in order, on the source graph of the program; kernels
        are named as in the recording. Raises Unsupported where the runtime does not tell what its kernels were made of.
        """
        del recording, graph
        raise Unsupported("its runtime does not tell which nodes of the program a kernel was made of")
