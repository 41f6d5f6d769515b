"""A driver: a sample is two runs of the program `main`, and the first of them is timed as well."""

from steelyard.core.metrics import Metric
from steelyard.measure.clock import CLOCK
from steelyard.measure.driver import BoundCalls, Driver, Parts, latency

FIRST = Metric(name="first_s", unit="s", direction="lower", meaning="the first of two runs", title="First run")


class Pair:
    """Two runs."""

    def __init__(self, binding, kept):
        self.binding, self.kept = binding, kept

    def run(self):
        """The sample."""
        begun = CLOCK()
        self.binding.run()
        self.first_ns = CLOCK() - begun
        self.binding.settle()
        self.binding.run()

    def settle(self):
        """Outside it."""
        self.kept.append(self.first_ns * 1e-9)
        self.binding.settle()


class Pairs(BoundCalls):
    """A binding for each input set."""

    clocks = (CLOCK,)

    def __init__(self, lowered, executable, inputs, checker, bound):
        self.program = lowered.programs["main"].program
        self.bindings = [executable.bind(given) for given in inputs[:bound]]
        self.checker, self.kept = checker, []
        self.calls = [Pair(binding, self.kept) for binding in self.bindings]
        self.fed = self.bindings[0], self.program, inputs

    def inspect(self, index):
        """The outputs of the second run."""
        slot = index % len(self.calls)
        self.checker.program_call(slot, self.program, self.bindings[slot])

    def measurements(self, window):
        """Both times."""
        return latency(window), latency(window, FIRST.name, self.kept[-len(window.durations_ns) :])

    def close(self):
        """Release the bindings."""
        for binding in self.bindings:
            binding.close()


class PairDriver(Driver):
    """See the module."""

    name = "pair"
    meaning = "two runs of a program, one after the other"
    programs = ("main",)
    parts = Parts(metrics=(FIRST,), name="first-runs", title="First runs", caption="The first of both")

    def runs(self, point):
        """Two."""
        return {"main": 2}

    def compute(self, point, inputs, tokens, run):
        """One run: the second gives the same."""
        return (run("main", given) for given in inputs)

    def bind(self, lowered, executables, inputs, checker, *, bound=None):
        """See `Pairs`."""
        return Pairs(lowered, executables["main"], inputs, checker, bound)


DRIVER = PairDriver()
