"""What is experimental, and what a published run has shown."""

from steelyard.core.backend import BackendSpec, Budget, parse_backend
from steelyard.core.case import Case
from steelyard.core.targets import is_seen, unseen
from tests.fakes.runs import llm_points

SEEN = {
    ("onnxruntime:tensorrt", "cuda"): "20270101T000000Z-llm-000000",
    ("eager", "rocm"): "20270101T000000Z-llm-000000",
}


def test_a_target_is_a_backend_with_its_provider_on_a_kind_of_device():
    assert is_seen(parse_backend("onnxruntime:tensorrt[kv_cache=ping_pong]"), "cuda", SEEN)
    assert not is_seen(parse_backend("onnxruntime"), "cuda", SEEN)
    assert not is_seen(parse_backend("eager"), "cuda", SEEN)
    assert is_seen(parse_backend("anything"), "cpu", {})


def test_experimental_backends_are_named_once():
    arms = [parse_backend(text) for text in ("eager", "xla", "eager")]
    assert unseen(arms, "rocm", SEEN) == ("xla",)
    assert unseen(arms, "tpu", {}) == ("eager", "xla")
    assert unseen(arms, "cpu", {}) == ()


def case(**budget):
    return Case(
        point=llm_points()[0],
        backend=BackendSpec(runner="eager"),
        device_kind="cuda",
        scenario="single-stream",
        budget=Budget(threads=1, cpus=(0,), **budget),
    )


def test_only_a_cold_cache_makes_another_case():
    assert case().id == case(l2="hot").id != case(l2="cold").id
    assert [case(l2=mode).budget.l2_cache for mode in (None, "hot", "cold")] == ["not applicable", "hot", "cold"]
