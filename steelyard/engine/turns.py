"""The launches of a round alive together: one runs at a time, the others are stopped, and their windows take turns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from steelyard.core.metrics import Reading
from steelyard.engine.launch import LaunchOutcome, Running
from steelyard.engine.protocol import Event, LaunchRequest
from steelyard.guard.halt import Watchman
from steelyard.guard.spin_meter import SpinMeter

TURN_S = 0.25
"""The longest turn. Shorter ones share more of what drifts, and pay more often for cold caches."""
FEWEST_TURNS = 8


def turn_s(window_s: float) -> float:
    """How long a turn of a window lasts: an eighth of it, and at most TURN_S."""
    return min(TURN_S, window_s / FEWEST_TURNS)


class Together:
    """Runs the launches of one bundle in one round.

    Each is started in the order of `requests` and goes alone to its first window. Those that stand at the window of
    the same point then take turns, in an order that `sweeps` gives anew for each sweep (arms by label), until each has
    its window; each then goes alone to its next one, or to its end, when `keep` gets its outcome.
    """

    def __init__(
        self,
        requests: Sequence[LaunchRequest],
        sweeps: Iterator[tuple[str, ...]],
        *,
        points: Sequence[str],
        timeouts: Mapping[str, float],
        origin_s: float,
        begin: Callable[[LaunchRequest], None],
        on_event: Callable[[Event], None],
        keep: Callable[[LaunchRequest, LaunchOutcome], None],
        meter: SpinMeter | None = None,
    ) -> None:
        self._requests, self._sweeps, self._points = requests, sweeps, points
        self._timeouts, self._origin_s = timeouts, origin_s
        self._begin, self._on_event, self._keep = begin, on_event, keep
        self._meter = meter
        self._standing: dict[str, Running] = {}

    def run(self) -> None:
        """All of them to their ends. On an exception every process of theirs is ended, the stopped ones too."""
        with ExitStack() as alive:
            watchman = alive.enter_context(Watchman())
            for request in self._requests:
                self._begin(request)
                launch = alive.enter_context(
                    Running(
                        request,
                        origin_s=self._origin_s,
                        timeouts=self._timeouts,
                        on_event=self._on_event,
                        watchman=watchman,
                        meter=self._meter,
                    )
                )
                self._advance(launch)
            while self._standing:
                first = min(self._points.index(_point(launch)) for launch in self._standing.values())
                group = [launch for launch in self._standing.values() if _point(launch) == self._points[first]]
                for launch in self._take_turns(group):
                    self._advance(launch)

    def _advance(self, launch: Running) -> bool:
        """Let one run alone until it stands or ends. Whether it stands."""
        how = launch.go()
        if how == "turn":
            self._standing[launch.request.arm] = launch
            return True
        self._standing.pop(launch.request.arm, None)
        self._keep(launch.request, launch.ended(how))
        launch.close()
        return False

    def _take_turns(self, group: Sequence[Running]) -> list[Running]:
        """The windows of these launches, turn by turn. Those that have theirs."""
        waiting = {launch.request.arm: launch for launch in group}
        through: list[Running] = []
        handovers: list[float] = []
        ended_s: float | None = None
        speed = self._speed()
        while waiting:
            for arm in next(self._sweeps):
                if arm not in waiting:
                    continue
                launch = waiting[arm]
                launch.speeds += speed
                stood, speed = self._advance(launch), self._speed()
                if not stood or (turn := launch.stands.turn) is None:
                    del waiting[arm]  # the window failed: the launch has ended, or stands before that of its next case
                    ended_s = None
                    continue
                launch.speeds += speed
                if ended_s is not None:
                    handovers.append(turn[0] - ended_s)
                ended_s = turn[1]
                if not launch.stands.more:
                    through.append(waiting.pop(arm))
        for launch in through:
            launch.handovers += handovers
        return through

    def _speed(self) -> list[Reading]:
        """The speed of the measured CPUs now, while all launches stand; empty where nobody reads it."""
        return [] if self._meter is None else [self._meter.read()]


def _point(launch: Running) -> str:
    """The point whose window a launch stands at."""
    case_id = launch.stands.case_id
    return next(case.lowered.point.key for case in launch.request.cases if case.case_id == case_id)
