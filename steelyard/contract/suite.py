"""The contract tests of a suite whose models are one call, for its author to run with pytest.

    from steelyard.contract.suite import SuiteContract

    class TestMySuite(SuiteContract):
        suite = "mymod:SUITE"

They build every module without memory for its tensors, so that even large models take seconds, and hold it against
what the suite declares. Needs the extra `torch`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from steelyard import plugins
from steelyard.core.workload import DTYPE_BYTES, Point, Selection
from steelyard.lowering.points import points_of
from steelyard.lowering.source import example_inputs
from steelyard.plugins import load_attribute


class SuiteContract:
    """What holds of every suite made by `steelyard.lowering.catalogue`. Subclass it as `Test...` and set `suite`."""

    suite: ClassVar[str]
    """As on the command line."""

    sizes: ClassVar[tuple[str, ...]] = ("tiny",)
    """The sizes that are looked at."""

    def test_every_workload_is_at_every_size(self) -> None:
        """Each size has each workload, and no two are the same work."""
        suite = plugins.suite(self.suite)
        for size in suite.sizes:
            found = _points(self.suite, size)
            assert [point.workload for point in found] == [*suite.workloads], size
            assert len({point.key for point in found}) == len(found), f"two workloads are the same at {size}"

    def test_modules_are_what_is_declared(self) -> None:
        """Parameters, operations, shapes and types of every workload."""
        found = [told for size in self.sizes for point in _points(self.suite, size) for told in unlike(point)]
        assert not found, "\n".join(found)


def unlike(point: Point) -> Iterator[str]:
    """In what a point's module is not what the suite declares, as sentences: parameters, operations, outputs."""
    import torch

    program = point.programs["main"]
    module = load_attribute(program.source)(in_place=False, **program.arguments)
    stored = sum(tensor.numel() for tensor in module.parameters())
    declared = (point.work.weight_bytes or 0) // DTYPE_BYTES[program.dtype]
    if stored != declared:
        yield f"{point.title}: the module has {stored:,} parameters, and {declared:,} are declared"
    with _counted() as counter:
        for part in module.modules():
            for key, tensor in part.named_parameters(recurse=False):
                empty = torch.empty(tensor.shape, dtype=tensor.dtype)
                setattr(part, key, torch.nn.Parameter(empty, requires_grad=False))
        outputs = module(*example_inputs(program))
    outputs = (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs)
    found = [f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}" for value in outputs]
    if found != (wanted := [spec.declared for spec in program.outputs]):
        yield f"{point.title}: the module returns {', '.join(found)}, and {', '.join(wanted)} is declared"
    counted, said = counter.get_total_flops(), point.work.flop
    if said is not None and counted != said:
        yield f"{point.title}: PyTorch counts {counted:,} operations of a call, and {said:,.0f} are declared"


def _points(suite: str, size: str) -> tuple[Point, ...]:
    return points_of(plugins.suite(suite), Selection(device_kind="cpu", size=size))


@contextmanager
def _counted() -> Iterator[Any]:
    """A counter of operations, over tensors without memory, with layers of LSTM and attention in their parts."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="TF32 acceleration")  # what switching oneDNN off says
        with (
            FakeTensorMode(allow_non_fake_inputs=True),
            torch.no_grad(),
            torch.backends.mkldnn.flags(enabled=False),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False) as counter,
        ):
            yield counter
