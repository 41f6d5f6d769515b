"""The tracer of the XLA runner: through the real profiler, and from what a profiler may give."""

import re
from types import SimpleNamespace

import pytest

from steelyard.adapters import hlo
from steelyard.adapters.recorded import MARK
from steelyard.adapters.xla_trace import tell
from steelyard.contract.runner import lowered_programs
from steelyard.core.errors import SteelyardError
from tests.runners.test_hlo import TEXT
from tests.runners.test_xla import launch

pytestmark = pytest.mark.backends

TRACED = """
    import numpy as np
    from tests.runners import block
    runner.start()
    tracer = runner.tracer(block.exported(request.context.scratch))
    given = block.inputs()
    binding = tracer.executable.bind(given)
    for _ in range(3):
        binding.run()
        binding.settle()
    told = []
    for calls in (4, 2):
        tracer.begin()
        for _ in range(calls):
            tracer.call(binding.run)
            answer = binding.read()["y"]
            binding.settle()
            binding.run()
            binding.settle()
        told.append(tracer.end())
        binding.run()
        binding.settle()
    def raised(call):
        try:
            call()
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    wrong = {"end first": raised(tracer.end)}
    tracer.begin()
    wrong["begun twice"] = raised(tracer.begin)
    wrong["no call"] = raised(tracer.end)
    print(json.dumps({
        "told": [dataclasses.asdict(each) for each in told],
        "error": float(np.linalg.norm(answer - block.reference(given)) / np.linalg.norm(answer)),
        "left": [path.name for path in request.context.scratch.iterdir() if path.is_dir()],
        "wrong": wrong,
    }))
    """


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    return launch(TRACED, directory=tmp_path_factory.mktemp("xla"), programs={})


def in_calls(told):
    """The names of the events of each call."""
    names = [told["kernels"][place]["name"] for place in told["kernel"]]
    return [
        [name for name, start in zip(names, told["start_ns"], strict=True) if begin <= start < end]
        for begin, end in told["calls"]
    ]


def test_each_recording_has_its_own_calls_and_their_events_alone(traced):
    """Between the calls, before the first and after the last, the same program ran unrecorded."""
    first, second = traced["told"]
    assert [len(first["calls"]), len(second["calls"])] == [4, 2]
    for told in (first, second):
        calls = in_calls(told)
        assert sum(len(names) for names in calls) == len(told["kernel"])
        assert all(sorted(names) == sorted(calls[0]) for names in calls)
        assert all(end > begin for begin, end in told["calls"])
        assert told["calls"] == sorted(told["calls"])


def test_the_program_is_a_product_and_fusions(traced):
    kernels = traced["told"][0]["kernels"]
    assert {kernel["kind"] for kernel in kernels} & {"dot", "fusion __ynn_fusion"}
    assert "fusion kLoop" in {kernel["kind"] for kernel in kernels}
    assert not any(kernel["wrapper"] for kernel in kernels)
    names = [kernel["name"] for kernel in kernels]
    assert len(set(names)) == len(names) > 1


def test_times_lie_within_the_calls(traced):
    for told in traced["told"]:
        ends = [start + duration for start, duration in zip(told["start_ns"], told["duration_ns"], strict=True)]
        assert all(duration > 0 for duration in told["duration_ns"])
        # What the last instruction's thread does after the answer is there may outlast the call.
        assert max(ends) < told["calls"][-1][1] + 1e6
        assert told["resolution_ns"] == 1.0
        assert not any("end: NAME" in remark for remark in told["remarks"])


def test_the_traced_program_computes(traced):
    assert traced["error"] < 1e-5


def test_the_profilers_files_are_removed(traced):
    assert traced["left"] == []


def test_wrong_order_is_told(traced):
    wrong = traced["wrong"]
    assert all(message.startswith("SteelyardError: ") for message in wrong.values())
    assert "call begin() first" in wrong["end first"]
    assert "call end() first" in wrong["begun twice"]
    assert "no call" in wrong["no call"]


def test_a_traced_program_with_state_goes_on_as_the_clean_one_does(tmp_path, tmp_path_factory):
    source = """
        import numpy as np
        from steelyard.contract import program as tiny
        runner.start()
        tracer = runner.tracer(lowered["decode"])
        clean = runner.load(lowered["decode"])
        clean.compile()
        prefill = runner.load(lowered["prefill"])
        prefill.compile()
        source = prefill.bind({"input_ids": tiny.prompt_ids(0)})
        zeros = {s.name: np.zeros(s.shape, s.dtype) for s in lowered["decode"].program.inputs}
        answers = []
        for executable, call in ((clean, lambda run: run()), (tracer.executable, tracer.call)):
            binding = executable.bind(zeros)
            source.run()
            token = source.read(("next_token",))["next_token"]
            binding.adopt(source)
            source.settle()
            told = call == tracer.call
            if told:
                tracer.begin()
            for step in range(3):
                position = np.array([tiny.PROMPT + step], dtype=np.int64)
                binding.update({"input_ids": token.reshape(-1, 1), "position": position})
                call(binding.run)
                token = binding.read(("next_token",))["next_token"]
                last = binding.read()
                binding.settle()
            answers.append({name: array.tolist() for name, array in last.items()})
        recording = tracer.end()
        print(json.dumps([answers[0] == answers[1], len(recording.calls), len(recording.kernel)]))
        """
    programs = lowered_programs(("stablehlo",), tmp_path_factory.getbasetemp())
    same, calls, events = launch(source, directory=tmp_path, programs=programs)
    assert same
    assert calls == 3
    assert events >= 3


def test_a_file_that_is_no_trace_is_an_error(tmp_path):
    source = """
        from steelyard.adapters.xla_trace import read_planes
        messages = []
        for name, content in (("a", b"not a trace" * 100), ("b", None)):
            folder = Path(request.directory) / name
            folder.mkdir()
            if content is not None:
                (folder / "vm.xplane.pb").write_bytes(content)
            try:
                read_planes(folder)
            except Exception as error:
                messages.append(f"{type(error).__name__}: {error}")
        print(json.dumps(messages))
        """
    unreadable, missing = launch(source, directory=tmp_path, programs={})
    assert re.match("SteelyardError: XLA's profiler left a file that JAX cannot read", unreadable)
    assert re.match("SteelyardError: XLA's profiler left 0 files", missing)


def event(name, start, duration, **stats):
    return SimpleNamespace(name=name, start_ns=float(start), duration_ns=float(duration), stats=stats.items())


def operator(name, start, duration):
    return event(name, start, duration, hlo_op=name, run_id=1, _p=hash(name))


def complete(name, at):
    return event(f"end: {name}", at, 1, _c=hash(name))


def plane(name, *lines):
    return SimpleNamespace(name=name, lines=[SimpleNamespace(events=events) for events in lines])


def recorded(*lines, made=1, kind="cpu", more=()):
    planes = [plane("/host:metadata"), plane("/host:CPU", [event(MARK, 0, 1000)], *lines), *more]
    return tell(planes, hlo.instructions(TEXT), device_kind=kind, made=made)


def rows(told):
    names = [told.kernels[place].name for place in told.kernel]
    return list(zip(names, told.thread, told.start_ns, told.duration_ns, strict=True))


def test_an_instruction_ends_when_it_is_complete_although_its_thread_went_on():
    """Two threads compute `layer.7`: the one that began it is done at 30, the other at 80. `copy.7` began meanwhile."""
    told = recorded(
        [operator("layer.7", 10, 20), operator("copy.7", 40, 20), complete("copy.7", 55)], [complete("layer.7", 80)]
    )
    assert rows(told) == [("layer.7", 1, 10.0, 70.0), ("copy.7", 0, 40.0, 20.0)]
    assert told.remarks == (
        "1 of 2 events end on another thread than they began on, and are told on threads of their own",
    )


def test_instructions_that_outlast_their_threads_at_the_same_time_have_rows_of_their_own():
    told = recorded(
        [operator("layer.7", 10, 5), operator("copy.7", 20, 5), operator("svd.7", 95, 2)],
        [complete("layer.7", 90), complete("copy.7", 60), complete("svd.7", 99)],
    )
    assert [(name, thread) for name, thread, *_ in rows(told)] == [("layer.7", 0), ("copy.7", 1), ("svd.7", 0)]


def test_a_loop_keeps_the_time_that_its_thread_spends_on_it():
    told = recorded(
        [operator("while.7", 10, 50), operator("dot.3", 20, 20), complete("dot.3", 39)], [complete("while.7", 500)]
    )
    assert rows(told) == [("while.7", 0, 10.0, 50.0), ("dot.3", 0, 20.0, 20.0)]
    assert [kernel.wrapper for kernel in told.kernels] == [True, False]
    assert told.remarks == ()


def test_what_is_not_known_of_an_instruction_is_told():
    told = recorded([operator("copy.7", 10, 5), operator("all-reduce.1", 20, 5), complete("all-reduce.1", 24)])
    unended, unknown = told.remarks
    assert unended.startswith("1 of 2 events have no 'end: NAME'")
    assert "lacks all-reduce.1" in unknown


def test_of_an_accelerator_its_own_planes_count():
    told = recorded(
        [operator("copy.7", 10, 5)],
        kind="cuda",
        more=[plane("/device:GPU:0", [event("loop_copy_kernel", 30, 7, hlo_op="copy.7")])],
    )
    assert rows(told) == [("copy.7", 0, 30.0, 7.0)]
    assert told.remarks == ()


def test_a_record_without_the_calls_or_without_instructions_is_an_error():
    with pytest.raises(SteelyardError, match="recorded 1 of 2 calls"):
        recorded([operator("copy.7", 10, 5)], made=2)
    with pytest.raises(SteelyardError, match="no HLO instruction"):
        recorded([event("ThreadpoolListener::Record", 10, 0)])
