"""What a run answers for at its end, and what its pilot promises, in one segment or several."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from steelyard.core.result import Result
from steelyard.core.run import Run
from steelyard.service import recorder as recorder_module
from steelyard.service.recorder import Recorder
from tests.engine.test_contaminated_rounds import plan_of  # noqa: F401 (a fixture)
from tests.fakes.runs import llm_points, synthetic_run


def ended(plan, *statuses: str, arms: int | None = None) -> list[Result]:
    """A result of each arm (or of the first so many) in each round, with the status of the round."""
    return [
        Result(
            case_id=plan.case(arm, point).id, arm=arm.label, round=number, position=0, launch=f"{number}",
            status=status, stage="check", reason="",
        )
        for number, status in enumerate(statuses)
        for arm in plan.arms[:arms]
        for point in plan.points
    ]  # fmt: skip


def stored(results: list[Result]) -> Run:
    """A run that holds them."""
    return replace(synthetic_run(backends=("eager",), rounds=1), results=tuple(results))


@pytest.mark.parametrize(
    ("statuses", "sound"),
    [
        (("ok", "ok"), True),
        (("unsupported",), True),
        (("ok", "timed_out", "ok"), True),
        (("ok", "timed_out"), False),
        (("ok", "incorrect", "ok"), False),
        (("ok", "fallback", "ok"), False),
    ],
)
def test_a_wrong_answer_counts_in_whatever_round_it_was_given(plan_of, statuses, sound):  # noqa: F811
    plan = plan_of(3)
    recorder = Recorder(None, None, None, plan, stored(ended(plan, *statuses)), noise=None)
    assert recorder.sound is sound


def test_a_planned_case_that_was_never_launched_is_answered_for(plan_of):  # noqa: F811
    plan = plan_of(3)
    assert not Recorder(None, None, None, plan, stored([]), noise=None).sound
    assert not Recorder(None, None, None, plan, stored(ended(plan, "ok", arms=1)), noise=None).sound


def test_what_was_spoiled_so_far_is_left_out_of_the_pilot_as_of_the_report(tmp_path, plan_of, monkeypatch):  # noqa: F811
    """The launches with their readings are in the run that the pilot is told of: those before and those of now."""
    run = synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode", rounds=3)
    now = tuple(replace(launch, launch=f"later-{launch.launch}") for launch in run.launches)
    seen: list[Run] = []
    monkeypatch.setattr(recorder_module, "detectable_effects", lambda so_far, *_: seen.append(so_far) or ())
    screen = SimpleNamespace(line=print, launch=lambda record: None)
    writer = SimpleNamespace(path=tmp_path / "run", launch=lambda record: None)
    recorder = Recorder(writer, screen, run.manifest, plan_of(8), run, noise=run.segments[0].noise)
    for record in now:
        recorder.launch(record)
    recorder.round_ends(4)
    (so_far,) = seen
    assert so_far.launches == (*run.launches, *now)


@pytest.fixture
def pilot(tmp_path, plan_of):  # noqa: F811
    """The lines that the pilot says after these rounds of a segment that goes on with such a run."""
    run = synthetic_run(backends=("eager", "xla"), points=llm_points(("decode",)), headline="decode", rounds=6)

    def call(earlier: tuple[int, ...], rounds: tuple[int, ...], *, minimum: int, maximum: int) -> list[str]:
        said: list[str] = []
        recorder = Recorder(
            SimpleNamespace(path=tmp_path / "run"),
            SimpleNamespace(line=said.append),
            run.manifest,
            replace(plan_of(8), minimum_rounds=minimum, maximum_rounds=maximum),
            replace(
                run,
                segments=(replace(run.segments[0], rounds=earlier),) if earlier else (),
                results=tuple(result for result in run.results if result.round <= rounds[-1]),
            ),
            noise=run.segments[0].noise,
        )
        for number in rounds:
            recorder.round_ends(number)
        return [line for line in said if line.startswith("pilot: xla")]

    return call


def test_the_pilot_of_a_resumed_run_promises_what_all_of_its_rounds_will_find(pilot):
    (line,) = pilot((0, 1, 2), (3, 4), minimum=6, maximum=28)
    assert "; minimum detectable effect in 8 rounds at this noise: " in line


def test_a_pilot_that_an_interruption_cut_off_is_told_by_the_next_segment(pilot):
    (line,) = pilot((0, 1, 2), (4,), minimum=6, maximum=28)  # round 3 was not finished
    assert "; minimum detectable effect in 8 rounds at this noise: " in line
    (line,) = pilot((0, 1, 2, 3), (4, 5), minimum=0, maximum=5)  # all that was planned at first
    assert "; minimum detectable effect in 4 rounds at this noise: " in line


def test_a_run_that_ends_with_its_pilot_has_none(pilot):
    assert pilot((), (1, 2, 3), minimum=3, maximum=3) == []
    assert pilot((), (1, 2), minimum=8, maximum=30) == []
    assert pilot((0, 1), (2, 3), minimum=0, maximum=2) == []
    assert len(pilot((), (1, 2, 3, 4), minimum=8, maximum=30)) == 1
