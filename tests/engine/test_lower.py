"""What is said of lowering while it goes on, whichever of its processes tell of a step."""

from steelyard.engine.lower import Steps
from steelyard.lowering.request import Progress


def test_a_step_is_told_once_and_counts_once_whoever_comes_upon_it() -> None:
    said: list[str] = []
    steps = Steps(said.append)

    def tell(step: str, label: str, *, cached: bool) -> None:
        steps.tell(Progress(step=step, total=3, label=label, cached=cached, seconds=1.25))

    tell("weights/a", "weights", cached=True)  # one process found it before the other told that it had made it
    tell("weights/a", "weights", cached=False)
    tell("programs/b/onnx", "decode as onnx: failed: no", cached=False)
    tell("programs/b/onnx", "decode as onnx: failed: no", cached=False)
    tell("programs/c/onnx", "prefill as onnx", cached=True)
    assert said == ["lowering 1/3: weights (1.2 s)", "lowering 2/3: decode as onnx: failed: no (1.2 s)"]
    tell("programs/b/onnx", "decode as onnx", cached=False)  # where memory was short for one of two, the other can
    assert said[2:] == ["lowering 3/3: decode as onnx (1.2 s)"]
