"""Calls with inputs that a program has not seen: is every answer computed anew, and complete when `run` returns?

A pool of inputs that repeats is no proof: an answer kept from an earlier call of the same input is right, and
an output written after `run` returned may be found complete because an earlier call left the same numbers there. So
the data inputs of a bound program are replaced by mixtures of those of the pool, and three calls are made of each
mixture: a *new* one, one *again* after the same bytes were written once more, and one *kept* without a change. One that
computes takes as long for all three, and gives the same numbers: one that destroys its inputs has the wrong ones when
they are left alone. The outputs of the new call are read at once, those of the second after a pause: a program that
returned when its outputs were complete takes as long to read either way.

Where times look like a cheat, more mixtures are called, each after a call that counts for nothing, and all of them
must agree. What lies between two members is new; of whole numbers, which may be tokens, each element is that of a
member, and as long as there are members left none that an earlier mixture had there: an output that depends on a single
token is new as well. The check belongs to the cold round, where nothing is timed after it; a launch with a timed window
makes one new call at its end. Mixtures are drawn from the system's random numbers.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.core.runner import Binding
from steelyard.core.workload import CHOSEN_FROM, Program
from steelyard.measure.clock import CLOCK
from steelyard.measure.distance import difference, finite, norm

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]
else:
    Array = np.ndarray
Arrays = Mapping[str, Array]

_MIXTURES = 3
_FEWER, _LONG_S = 2, 0.5  # of a call this long, two mixtures are enough to see nothing suspicious
_CONFIRMING, _ENOUGH = 8, 5  # mixtures more where times look suspicious, and how many there must be in all
_TRIALS = 200  # small discrete inputs have few mixtures, or none
_FACTOR = 2.0  # every new call must be slower than every repeated one by so much ...
_LEAST_S = 20e-6  # ... and by so many seconds, which the caches of the CPU never make up
_REST_S = 0.002  # before each call, so that a copy begun by `update` has ended
_LATE_PART, _LATE_S = 0.25, 100e-6
_READ_S, _READ_BYTES_PER_S = 200e-6, 0.5e9  # what reading an output may take: slower than any copy to the host


class FreshCalls:
    """What the calls with new inputs have shown. `doubts` are sentences; none means that no cheat was found."""

    def __init__(self, binding: Binding, program: Program, inputs: Sequence[Arrays], limits: Mapping[str, float]):
        self._binding = binding
        self._program = program
        self._inputs = inputs
        self._limits = limits
        self._outputs = [spec for spec in program.outputs if spec.role == "data"] or list(program.outputs)
        self._telling = {spec.name for spec in self._outputs if "float" in spec.dtype}
        names = {spec.name for spec in self._outputs}
        # Of two logits as good as equal either may win; the logits themselves are compared.
        self._repeated = {name for name in names if CHOSEN_FROM.get(name) not in names}
        self._seen: dict[str, set[bytes]] = {name: set() for name in self._telling}
        self._times: dict[str, list[float]] = {"new": [], "again": [], "kept": []}
        self._reads: dict[str, list[float]] = {"at once": [], "after a pause": []}
        self.mixtures = 0
        self.doubts: list[str] = []

    def make(self, call_s: float) -> None:
        """Make the calls; `call_s` is about what one takes. The binding has its own inputs again afterwards."""
        own = {name: np.asarray(self._inputs[0][name], order="C") for name in self._varied()}
        if not own:
            return
        self._call("", own)
        mixtures = self._mixtures()
        self._make(islice(mixtures, _FEWER if call_s > _LONG_S else _MIXTURES))
        if self.mixtures and self._suspicions():
            # A background load makes calls fast and slow in turn, and so few of them can fall out like this by chance.
            self._make(islice(mixtures, _CONFIRMING), after_a_call=True)
            if self.mixtures >= _ENOUGH:
                self.doubts += self._suspicions()
        self._binding.update(own)

    def once(self) -> None:
        """One call with inputs it has not seen. The binding has its own inputs again afterwards."""
        own = {name: np.asarray(self._inputs[0][name], order="C") for name in self._varied()}
        if not own:
            return
        self._call("", own)
        for mixture in islice(self._mixtures(), 1):
            self._call("new", mixture)
        self._binding.update(own)

    def _make(self, mixtures: Iterable[Arrays], *, after_a_call: bool = False) -> None:
        for mixture in mixtures:
            if after_a_call:
                # The other two follow a call, the new one comparisons and mixing: meanwhile the threads of a runtime
                # have gone to sleep, and on a busy machine they take milliseconds to wake.
                self._binding.run()
                self._binding.settle()
            at_once = self._call("new", mixture, unlike_earlier=not after_a_call)
            later = self._call("again", mixture, pause=True)
            kept = self._call("kept", None)
            self._same(at_once, later, "read at once it is not what a call of the same input gave after a pause")
            self._same(kept, later, "left alone, its inputs give another answer: they were changed")
            self.mixtures += 1

    def _call(self, kind: str, update: Arrays | None, *, pause: bool = False, unlike_earlier: bool = True) -> Arrays:
        """One call; the first, of no kind, only shows what the binding's own inputs give."""
        if update is not None:
            self._binding.update(update)
        time.sleep(_REST_S)
        start = CLOCK()
        self._binding.run()
        ran = CLOCK()
        if pause:
            time.sleep(max(_REST_S, *(2 * seconds for seconds in self._reads["at once"])))
        read = CLOCK()
        found = self._binding.read(tuple(spec.name for spec in self._outputs))
        ended = CLOCK()
        self._binding.settle()
        if kind:
            self._times[kind].append((ran - start) * 1e-9)
        if kind in ("new", "again"):
            self._reads["after a pause" if pause else "at once"].append((ended - read) * 1e-9)
        if kind in ("", "new") and unlike_earlier:
            self._unlike_earlier(found)
        return found

    def _unlike_earlier(self, found: Arrays) -> None:
        """The bits of an output must not be those for another input."""
        for name in self._telling & set(found):
            bits = np.ascontiguousarray(found[name]).tobytes()
            if bits in self._seen[name]:
                self._doubt(
                    f"{name}: inputs that it had not seen gave an earlier answer, bit by bit: either answers are kept, "
                    "or update() does not replace what run() reads"
                )
            self._seen[name].add(bits)

    def _same(self, one: Arrays, other: Arrays, unlike: str) -> None:
        """Doubts where two calls of the same input gave different outputs."""
        for name in sorted(self._repeated & set(one) & set(other)):
            before, after = (np.asarray(found[name]).astype(np.float64) for found in (one, other))
            if before.shape != after.shape or np.isnan(before).any() != np.isnan(after).any():
                self._doubt(f"{name}: {unlike}")
                continue
            scale, error = norm(finite(after)), norm(difference(before, after))
            if error > self._limits.get(name, 0.0) * scale:
                self._doubt(f"{name}: {unlike}")

    def _suspicions(self) -> list[str]:
        """What the times of all calls so far speak against, as sentences."""
        found = []
        new, again, kept = (self._times[kind] for kind in ("new", "again", "kept"))
        for slow, fast, what in (
            (new, again, "a new input took {:.2g} s or more, the same bytes written once more {:.2g} s or less"),
            (new, kept, "a new input took {:.2g} s or more, its inputs left alone {:.2g} s or less"),
            (again, kept, "written inputs took {:.2g} s or more, inputs left alone {:.2g} s or less"),
        ):
            if min(slow) > _FACTOR * max(fast) and min(slow) - max(fast) > _LEAST_S:
                found.append("answers are kept: " + what.format(min(slow), max(fast)))
                break
        at_once, paused = self._reads["at once"], self._reads["after a pause"]
        late = min(at_once) - max(paused)
        if late > max(_LATE_S, _LATE_PART * float(np.median(new))):
            found.append(
                f"run() returned before its outputs were complete: reading them at once took {late:.2g} s longer "
                "than after a pause"
            )
        size = sum(spec.bytes for spec in self._outputs)
        allowed = 5 * max(*new, *again) + _READ_S * len(self._outputs) + size / _READ_BYTES_PER_S
        if min(*at_once, *paused) > allowed:
            found.append(
                f"run() did not do the work: reading the outputs took {min(*at_once, *paused):.2g} s, run() "
                f"{max(*new, *again):.2g} s"
            )
        return found

    def _varied(self) -> list[str]:
        """The data inputs in which the members of the pool differ."""
        first = self._inputs[0]
        return [
            spec.name
            for spec in self._program.inputs
            if spec.role == "data"
            and any(not np.array_equal(first[spec.name], other[spec.name]) for other in self._inputs)
        ]

    def _mixtures(self) -> Iterator[Arrays]:
        """Mixtures that are no member of the pool, then members; never the same twice, nor the binding's own inputs."""
        random = np.random.default_rng()
        names = self._varied()
        used = {_bits(self._inputs[0], names)}
        members = {_bits(entry, names) for entry in self._inputs}
        spare: list[Arrays] = []
        dealt = {name: _dealt([entry[name] for entry in self._inputs], random) for name in names}
        for trial in range(1, _TRIALS if names else 0):
            one, other = random.choice(len(self._inputs), size=2, replace=False)
            mixture = {
                name: dealt[name][trial]
                if trial < len(dealt[name])
                else _mixed(self._inputs[one][name], self._inputs[other][name], random)
                for name in names
            }
            bits = _bits(mixture, names)
            if bits in used:
                continue
            used.add(bits)
            if bits in members:
                spare.append(mixture)
            else:
                yield mixture
        yield from spare

    def _doubt(self, text: str) -> None:
        if text not in self.doubts:
            self.doubts.append(text)


def _dealt(members: Sequence[Array], random: np.random.Generator) -> Sequence[Array]:
    """Whole numbers: the values of the members, dealt anew to each element, the first member's first and what is the
    same as an earlier one last. Of numbers with a point none: they are mixed."""
    if members[0].dtype.kind not in "biu":
        return ()
    first, *others = members
    cards = np.concatenate([np.stack([first]), random.permuted(np.stack(others), axis=0)])
    again = np.stack([(cards[:place] == card).any(axis=0) for place, card in enumerate(cards)])
    dealt = np.take_along_axis(cards, np.argsort(again, axis=0, kind="stable"), axis=0)
    return [np.asarray(hand) for hand in dealt]


def _mixed(one: Array, other: Array, random: np.random.Generator) -> Array:
    """Of whole numbers each is from one of both; of others each lies between both, so that an output that depends on a
    single element is new as well."""
    chosen = np.where(random.random(one.shape) < 0.5, one, other)
    if one.dtype.kind not in "biu":
        low, high = one.astype(np.float64), other.astype(np.float64)
        with np.errstate(invalid="ignore"):
            between = low + random.random(one.shape) * (high - low)
        chosen = np.where(np.isfinite(between), between, chosen.astype(np.float64))
    return np.asarray(chosen.astype(one.dtype), order="C")


def _bits(arrays: Arrays, names: Sequence[str]) -> bytes:
    return b"".join(np.ascontiguousarray(arrays[name]).tobytes() for name in names)
