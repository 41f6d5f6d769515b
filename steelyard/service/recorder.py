"""Hands what a session says to the store and to the screen, and answers whether the intervals are narrow enough."""

from steelyard.analysis import widest_half_width
from steelyard.core.case import Arm
from steelyard.core.result import LaunchRecord, Result
from steelyard.core.run import Manifest, Noise, Run, Segment
from steelyard.engine.plan import Plan
from steelyard.engine.protocol import Event
from steelyard.guard.contamination import contaminated_rounds
from steelyard.service.earlier import noise_seen
from steelyard.service.plan_text import PILOT_ROUNDS, TARGET_HALF_WIDTH, detectable_effects
from steelyard.service.screen import Screen
from steelyard.service.stored_plan import rounds_done
from steelyard.store import RunWriter


class Recorder:
    """The sink of a session."""

    def __init__(
        self,
        writer: RunWriter,
        screen: Screen,
        manifest: Manifest,
        plan: Plan,
        before: Run | None,
        *,
        noise: Noise,
    ) -> None:
        """`before` is what is stored already of a run that goes on."""
        self._writer, self._screen, self._manifest, self._plan = writer, screen, manifest, plan
        self._titles = {case.id: case.point.title for case in plan.cases}
        self._before = before or Run(manifest=manifest, segments=(), launches=(), results=())
        self._noise = noise
        self._done = rounds_done(self._before, plan.request.scenario)
        self._piloted = False
        self._rounds: list[int] = []
        self.launches: list[LaunchRecord] = []
        self._results: list[Result] = list(self._before.results)
        self.last = {(result.arm, result.case_id): result for result in self._results}

    @property
    def sound(self) -> bool:
        """Whether the suite made every point and every case ended ok or unsupported. A wrong answer or a fallback in
        any launch counts, however later ones ended: it makes the case incomparable."""
        plan = self._plan
        planned = {(arm.label, plan.case(arm, point).id) for arm in plan.arms for point in plan.points}
        return (
            plan.sound
            and planned <= self.last.keys()
            and all(result.status in ("ok", "unsupported") for result in self.last.values())
            and not any(result.status in ("incorrect", "fallback") for result in self._results)
        )

    def launch(self, record: LaunchRecord) -> None:
        """Store and show."""
        self.launches.append(record)
        self._writer.launch(record)
        self._screen.launch(record)

    def result(self, result: Result) -> None:
        """Store and show."""
        self._writer.result(result)
        self._results.append(result)
        self.last[result.arm, result.case_id] = result
        self._screen.result(result, self._titles[result.case_id])

    def round_begins(self, number: int, last: int, remaining_s: float | None, launches: int) -> None:
        """Show. An attempt has one round and is told by its outcome."""
        if not self._plan.request.attempt:
            self._screen.round_begins(number, last, remaining_s, launches)

    def round_ends(self, number: int) -> bool:
        """Once there are rounds enough for a pilot: what their noise lets the run find. Then: whether the intervals are
        narrow."""
        self._rounds.append(number)
        so_far = Run(
            manifest=self._manifest,
            segments=(*self._before.segments, self._segment()),
            launches=(*self._before.launches, *self.launches),
            results=tuple(self._results),
        )
        counted = rounds_done(so_far, self._plan.request.scenario)
        if not self._piloted and PILOT_ROUNDS <= counted < self._done + self._plan.maximum_rounds:
            self._piloted = True
            seen = noise_seen(self._writer.path.parent, self._manifest)
            sure = self._done + min(self._plan.minimum_rounds, self._plan.maximum_rounds)
            for line in detectable_effects(so_far, max(counted, sure), seen):
                self._screen.line(line)
        widest = widest_half_width(so_far)
        return widest is not None and widest <= TARGET_HALF_WIDTH

    def _segment(self) -> Segment:
        """The segment as far as it is: its whole rounds, and which of them were contaminated."""
        return Segment(
            index=len(self._before.segments),
            started_utc="",
            rounds=tuple(self._rounds),
            ended="",
            noise=self._noise,
            disturbed=contaminated_rounds(self.launches),
        )

    def launch_begins(self, arm: Arm, number: int, position: int) -> None:
        """Show."""
        self._screen.launch_begins(arm, number, position)

    def event(self, event: Event) -> None:
        """Show."""
        self._screen.event(event)

    def note(self, text: str) -> None:
        """Show."""
        self._screen.line(text)
