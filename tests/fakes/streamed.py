"""Points with several requests at a time, for synthetic runs."""

from steelyard.core.workload import Point
from steelyard.lowering.streams import spread
from tests.fakes.runs import llm_points


def streamed_points(streams: tuple[int, ...] = (1, 2, 4), batches: tuple[int, ...] = (1, 4)) -> tuple[Point, ...]:
    """Decode at each batch and number of streams."""
    return spread(llm_points(("decode",), batches), streams)
