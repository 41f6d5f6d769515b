"""For runtimes whose inputs and outputs are bound to memory before the call: the binding they share.

A *place* is where one tensor lives. A *turn* is one wiring of the runtime's request to the places it
reads and writes: a single turn when the state is written in place, two that alternate when two
places swap roles. A runner adds how places are made and wired, and what one call is.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import SteelyardError, Unsupported, UsageError, unknown_name
from steelyard.core.graph import LoweredNode
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.runner import Arrays, Binding
from steelyard.core.workload import Program, TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
else:  # `bench list` reads the runners' names and must not wait for numpy
    Array = Any


def numpy_type(spec: TensorSpec) -> "np.dtype[Any]":
    """The numpy type of a tensor; bfloat16 is that of `ml_dtypes`."""
    import numpy as np

    if spec.dtype == "bfloat16":
        import ml_dtypes

        wide: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return wide
    plain: np.dtype[Any] = np.dtype(spec.dtype)
    return plain


class Place:
    """A tensor in host memory: a numpy array, and the runtime's `value` on the same memory."""

    __slots__ = ("array", "spec", "value")

    def __init__(self, spec: TensorSpec, value_of: Callable[[Array, TensorSpec], Any]) -> None:
        import numpy as np

        self.spec = spec
        self.array: Array = np.zeros(spec.shape, numpy_type(spec))
        self.value = value_of(self.array, spec)

    def write(self, array: Array) -> None:
        """Copy `array` in; the address stays. Raises UsageError for another shape or type."""
        self.check(array)
        self.array[...] = array

    def read(self) -> Array:
        """A copy on the host."""
        return self.array.copy()

    def check(self, array: Array) -> None:
        """Raises UsageError unless `array` has the shape and type of the tensor."""
        wanted, shape = numpy_type(self.spec), self.spec.shape
        if array.shape != shape or array.dtype != wanted:
            raise UsageError(
                f"'{self.spec.name}' is {array.dtype}{list(array.shape)}, the program takes {wanted}{list(shape)}"
            )


Places = Mapping[str, Place]


class BoundBinding(Binding):
    """One input set, every tensor at a place of its own. `run` is the runner's."""

    def __init__(self, program: Program, inputs: Arrays, place: Callable[[TensorSpec], Place], in_place: bool) -> None:
        missing = sorted({spec.name for spec in program.inputs} - set(inputs))
        if missing:
            raise UsageError(f"program '{program.name}': no value for the inputs {', '.join(missing)}")
        carried = carried_state(program)
        places = {spec.name: place(spec) for spec in program.inputs}
        self._carried = carried
        self._data = {name: held for name, held in places.items() if name not in carried}
        self._results = {spec.name: place(spec) for spec in program.outputs if spec.name not in carried}
        self._spare = {} if in_place else {name: place(places[name].spec) for name in carried}
        self._take({name: places[name] for name in carried})
        self.update(inputs)

    @abstractmethod
    def wire(self, turn: int, reads: Places, writes: Places) -> Any:
        """What `run` needs to execute with these places: the request of turn 0 or 1."""

    def _take(self, state: Places) -> None:
        pairs = [(state, state)] if not self._spare else [(state, self._spare), (self._spare, state)]
        self._turns = []
        for turn, (old, new) in enumerate(pairs):
            reads, writes = {**self._data, **old}, {**self._results, **new}
            self._turns.append((self.wire(turn, reads, writes), reads, writes))
        self.request, self.reads, self.writes = self._turns[0]

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        """Copies of the outputs on the host."""
        chosen = self.writes if names is None else names
        for name in chosen:
            if name not in self.writes:
                raise unknown_name("output", name, self.writes)
        return {name: self.writes[name].read() for name in chosen}

    def settle(self) -> None:
        """Nothing where the state is in place; else the two places change roles."""
        if self._spare:
            self._turns.reverse()
            self.request, self.reads, self.writes = self._turns[0]

    def update(self, inputs: Arrays) -> None:
        """Copy into the places that the next run reads."""
        for name, array in inputs.items():
            if name not in self.reads:
                raise unknown_name("input", name, self.reads)
            self.reads[name].write(array)

    def adopt(self, source: Binding) -> None:
        """Use the places that `source` wrote its state to as this one's own. No copy."""
        if type(source) is not type(self) or not isinstance(source, BoundBinding):
            raise UsageError(f"a {type(self).__name__} cannot take state from a {type(source).__name__}")
        for name in self._carried:
            own, given = self.reads[name].spec, source.writes.get(name)
            if given is None or (given.spec.shape, given.spec.dtype) != (own.shape, own.dtype):
                raise UsageError(f"the source has no state '{name}' of shape {list(own.shape)} and type {own.dtype}")
        self._take({name: source.writes[name] for name in self._carried})

    def unwire(self) -> None:
        """Let go of the requests, so that the program can be compiled anew; the places stay."""
        self._turns = [(None, reads, writes) for _, reads, writes in self._turns]
        self.request = None

    def rewire(self) -> None:
        """Requests of the program as it is compiled now, on the same places and in the same turn."""
        self._turns = [
            (self.wire(turn, reads, writes), reads, writes) for turn, (_, reads, writes) in enumerate(self._turns)
        ]
        self.request = self._turns[0][0]

    def warm_up(self, runs: int) -> None:
        """Run so many times. The state is afterwards what it was; the outputs are not."""
        held = {name: self.reads[name].read() for name in self._carried}
        for _ in range(runs):
            self.run()
        for name, array in held.items():
            self.reads[name].write(array)

    def close(self) -> None:
        """Let go of the request and of all memory."""
        self._turns, self.request = [], None
        self._data, self._results, self._spare, self.reads, self.writes = {}, {}, {}, {}, {}


def carried_state(program: Program) -> tuple[str, ...]:
    """The names of the state that goes in and comes out again."""
    made = {spec.name for spec in program.state}
    return tuple(spec.name for spec in program.inputs if spec.name in made)


def in_place_agrees(program: Program, bind: Callable[[Arrays, bool], Binding]) -> bool:
    """Whether one run with the state in place gives the outputs of one with separate places, bit by bit.

    `bind` takes inputs and whether to bind in place. The state is random and whole numbers are 0, so
    that a node which reads the state after it was overwritten shows.
    """
    import numpy as np

    random = np.random.default_rng(0)
    arrays = {
        spec.name: (random.standard_normal(spec.shape) if "float" in spec.dtype else np.zeros(spec.shape)).astype(
            numpy_type(spec)
        )
        for spec in program.inputs
    }
    outputs = []
    for in_place in (True, False):
        binding = bind(arrays, in_place)
        binding.run()
        outputs.append(binding.read())
        binding.close()
    return all(outputs[0][name].tobytes() == outputs[1][name].tobytes() for name in outputs[0])


def artifact_of(program: LoweredProgram, wanted: str) -> Artifact:
    """The artifact in a format. Raises Unsupported with the reason why there is none."""
    if wanted not in program.artifacts:
        reason = program.failures.get(wanted, "it was not lowered")
        raise Unsupported(f"program '{program.program.name}' has no {wanted} artifact: {reason}")
    return program.artifacts[wanted]


def lowered_graph_of(artifact: Artifact) -> tuple[LoweredNode, ...]:
    """The graph that the converter used, with the nodes of the source graph behind it. Raises Unsupported without."""
    told = artifact.details.get("graph")
    if not told:
        raise Unsupported(f"its {artifact.format} does not tell which nodes of the program it was made of")
    return tuple(LoweredNode(**{**each, "inputs": tuple(each["inputs"])}) for each in told)


def check_ports(artifact: Artifact, inputs: int, outputs: int) -> None:
    """Raises SteelyardError unless the file has as many inputs and outputs as the artifact's record."""
    if (inputs, outputs) != (len(artifact.inputs), len(artifact.outputs)):
        raise SteelyardError(
            f"{artifact.entry} has {inputs} inputs and {outputs} outputs, its record {len(artifact.inputs)} and "
            f"{len(artifact.outputs)}: rebuild the entry with 'bench cache verify'"
        )
