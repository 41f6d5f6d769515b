"""Claims of a run against a replay: held, not held, undecided with the reason."""

from dataclasses import replace

import pytest

from steelyard.artifact.claims import claims_of, held_claims
from steelyard.core.run import LeftOut, Run
from tests.fakes.runs import Shape, llm_points, synthetic_run

QUIET = Shape(spread=0.002, round_spread=0.002, within=0.005)


def made(effect: dict[str, float], **options: object) -> Run:
    options = {"backends": ("eager", "xla"), "shape": QUIET, "seed": 3, **options}
    return synthetic_run(points=llm_points(("decode",)), headline="decode", effect=effect, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def original() -> Run:
    return made({"xla": 0.5})


def outcome(original: Run, replayed: Run) -> tuple[str, str]:
    (claim,) = held_claims(original, replayed)
    return claim.outcome, claim.reason


def test_a_verdict_that_comes_out_again_is_held_with_both_ratios(original):
    (said,) = claims_of(original)
    assert said.verdict == "faster"
    (claim,) = held_claims(original, made({"xla": 0.7}, seed=4))
    assert (claim.said, claim.found, claim.outcome) == ("faster", "faster", "held")
    assert claim.ratio is not None
    assert claim.found_ratio is not None
    assert claim.ratio.value == pytest.approx(0.5, rel=0.03)
    assert claim.found_ratio.value == pytest.approx(0.7, rel=0.03)
    assert claim.found_ratio.interval is not None


@pytest.mark.parametrize(("effect", "found"), [(1.5, "slower"), (1.0, "equivalent")])
def test_another_verdict_contradicts(original, effect, found):
    (claim,) = held_claims(original, made({"xla": effect}, seed=5))
    assert (claim.found, claim.outcome) == (found, "not held")


def test_no_verdict_is_undecided_and_says_why(original):
    told, reason = outcome(original, made({"xla": 0.5}, rounds=3))
    assert told == "undecided"
    assert reason.startswith("inconclusive: ")


def test_a_noisy_machine_decides_nothing(original):
    told, reason = outcome(original, made({"xla": 1.5}, grade="F", evidence=("a background load",)))
    assert told == "undecided"
    assert reason.startswith("withheld: ")


def test_a_backend_that_is_not_here_is_undecided_by_its_reason(original):
    without = made({}, backends=("eager", "openvino"))
    manifest = replace(without.manifest, left_out=(LeftOut(backend="xla", reason="jax is not installed"),))
    told, reason = outcome(original, replace(without, manifest=manifest))
    assert (told, reason) == ("undecided", "xla was not run here: jax is not installed")


def test_other_work_decides_nothing(original):
    told, reason = outcome(original, made({"xla": 1.5}, identity={"weights": "other"}))
    assert (told, reason) == ("undecided", "not the same work: the identity differs in weights")


def test_control_and_aa_arms_claim_nothing(original):
    assert {claim.candidate for claim in claims_of(original)} == {"xla"}
