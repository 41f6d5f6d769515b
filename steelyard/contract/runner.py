"""The contract tests: what every runner must do, for its author to run with pytest.

    from steelyard.contract.runner import RunnerContract

    class TestMyRunner(RunnerContract):
        backend = "mypkg.mymod:MyRunner"

Each class starts one fresh process with the runner's own environment, puts the tiny language model of
`steelyard.contract.program` through it, and judges what came back. Needs the extra `torch`, with which
the programs are lowered.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from steelyard import plugins, wire
from steelyard.contract import program as tiny
from steelyard.contract.launch import ContractRequest, Observed
from steelyard.core.backend import Budget, Device
from steelyard.core.lowered import LoweredProgram
from steelyard.core.result import READ_BACK
from steelyard.environments.kept import interpreter
from steelyard.guard.child import module_command
from steelyard.guard.environment import for_child
from steelyard.lowering.request import LoweringRequest, LoweringResponse

CPUS = tuple(sorted(os.sched_getaffinity(0)))[:2] if hasattr(os, "sched_getaffinity") else (0,)
Outputs = Mapping[str, Any]


def _of_state(test: Callable[..., None]) -> Callable[..., None]:
    """A test that a runner without state skips."""

    @functools.wraps(test)
    def run(self: "RunnerContract", launch: Any) -> None:
        if not self.stateful:
            pytest.skip(f"{self.backend} carries no state")
        test(self, launch)

    return run


class RunnerContract:
    """The behaviour that the worker relies on. Subclass it as `Test...` and set `backend`."""

    backend: ClassVar[str]
    """As on the command line."""

    tuning: ClassVar[Literal["default", "max"]] = "default"
    device: ClassVar[Device] = Device(kind="cpu", index=0, name="cpu", memory_bytes=None)
    imports: ClassVar[frozenset[str] | None] = None
    """The only frameworks the launch may import, e.g. `{"jax"}`; None leaves it open."""

    relative_l2: ClassVar[float] = 1e-5
    """The largest relative error in the 2-norm against the float64 reference."""

    timeout_s: ClassVar[float] = 300.0

    stateful: ClassVar[bool] = True
    """Whether bindings carry state from call to call (`adopt`, `update`). Tests of that are skipped where it is False:
    such a runner runs no *generate* and no step with a KV cache."""

    @pytest.fixture(scope="class")
    @classmethod
    def launch(cls, tmp_path_factory: pytest.TempPathFactory) -> tuple[Observed, Outputs]:
        """One launch for the whole class: what was observed, and the arrays by `case/output`."""
        directory = tmp_path_factory.mktemp("contract")
        spec = plugins.backend(cls.backend)
        kind = plugins.runner(spec.runner)
        asked = ContractRequest(
            backend=spec,
            device=cls.device,
            budget=Budget(threads=len(CPUS), cpus=CPUS, tuning=cls.tuning),
            directory=str(directory),
            programs=lowered_programs(kind.needs(spec), tmp_path_factory.getbasetemp()),
            stateful=cls.stateful,
        )
        for folder in (asked.context.compile_cache, asked.context.scratch):
            folder.mkdir()
        request = directory / "request.json"
        request.write_bytes(wire.encode(asked))
        # An environment of its own has its own packages, and this project.
        path = {} if spec.environment else {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        done = subprocess.run(
            module_command("steelyard.contract.launch", str(request), python=interpreter(spec)),
            env=for_child({**path, **kind.environment(asked.context)}, temporary=asked.context.scratch),
            capture_output=True,
            text=True,
            timeout=cls.timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"{cls.backend}: the launch ended with {done.returncode}\n{done.stderr[-6000:]}"
        with np.load(directory / "arrays.npz", allow_pickle=False) as arrays:
            return wire.read(directory / "observed.json", Observed), dict(arrays)

    def test_is_available_with_versions_and_devices(self, launch: tuple[Observed, Outputs]) -> None:
        """A runner that ran says that it can run, with what and on what."""
        found = launch[0].availability
        assert found.available, found.reason
        assert found.versions
        assert found.devices

    def test_declares_both_tunings(self) -> None:
        """The report prints these tables."""
        kind = plugins.runner(plugins.backend(self.backend).runner)
        assert {"default", "max"} <= set(kind.tunings)
        assert isinstance(kind.keeps_cache, str)

    def test_prefill_is_right(self, launch: tuple[Observed, Outputs]) -> None:
        """Every output of every turn, in the program's dtype and shape, against numpy."""
        for turn, seed in enumerate((0, 1, 0)):
            self.check(launch[1], f"prefill/{turn}", tiny.prefill_reference(tiny.prompt_ids(seed)))

    def test_other_inputs_give_other_outputs(self, launch: tuple[Observed, Outputs]) -> None:
        """Nothing is answered from memory."""
        arrays = launch[1]
        for name in ("logits", "cache.0.k"):
            assert not np.allclose(arrays[f"prefill/0/{name}"], arrays[f"prefill/1/{name}"])
            if self.stateful:
                assert not np.allclose(arrays[f"decode/0/{name}"], arrays[f"decode/1/{name}"])

    def test_reads_are_copies(self, launch: tuple[Observed, Outputs]) -> None:
        """What was read does not change when the binding runs again."""
        assert launch[1]["prefill/reads_are_copies"].all()

    @_of_state
    def test_decode_is_right_with_a_given_state(self, launch: tuple[Observed, Outputs]) -> None:
        """Bound state counts as it was at `bind`, although the caller has overwritten its arrays since."""
        for turn in range(4):
            inputs = tiny.decode_inputs(turn % 2)
            wanted = tiny.decode_reference(inputs["input_ids"], tiny.PROMPT, inputs["cache.0.k"])
            self.check(launch[1], f"decode/{turn}", wanted)

    @_of_state
    def test_repeated_runs_are_idempotent(self, launch: tuple[Observed, Outputs]) -> None:
        """The same binding at the same position gives the same answer, the state carried over."""
        arrays = launch[1]
        for name in ("next_token", "logits", "cache.0.k"):
            for turn in (0, 1):
                np.testing.assert_allclose(
                    arrays[f"decode/{turn}/{name}"], arrays[f"decode/{turn + 2}/{name}"], rtol=1e-6
                )
        np.testing.assert_allclose(arrays["decode/1/logits"], arrays["decode/last/logits"], rtol=1e-6)

    @_of_state
    def test_read_returns_what_was_asked_for(self, launch: tuple[Observed, Outputs]) -> None:
        """A subset is a subset."""
        assert [name for name in launch[1] if name.startswith("decode/last/")] == ["decode/last/logits"]

    @_of_state
    def test_an_answer_follows_its_own_tokens(self, launch: tuple[Observed, Outputs]) -> None:
        """`adopt`, `update`, `run`, `settle` in turn: two answers from one decode binding, step by step."""
        for turn in (0, 1):
            outputs = tiny.prefill_reference(tiny.prompt_ids(turn))
            for step in range(1, tiny.TOKENS):
                token = outputs["next_token"][:, None]
                outputs = tiny.decode_reference(token, tiny.PROMPT + step - 1, outputs["cache.0.k"])
                self.check(launch[1], f"answer/{turn}/{step}", outputs)

    @_of_state
    def test_missing_state_is_a_clear_error(self, launch: tuple[Observed, Outputs]) -> None:
        """The message names the input."""
        raised = launch[0].errors["state input missing"]
        assert raised.startswith("steelyard.core.errors."), raised
        assert "cache.0.k" in raised

    def test_proof_is_filled_and_finds_nothing_wrong(self, launch: tuple[Observed, Outputs]) -> None:
        """What ran is what was asked for."""
        for proof in launch[0].proofs.values():
            assert proof.runtime
            assert proof.versions
            assert proof.platform
            assert proof.placement
            assert proof.dtype == "float32"
            assert proof.threads in (len(CPUS), None)
            assert set(proof.budget) <= set(READ_BACK), "words of the budget that nobody knows"
            assert proof.graph_breaks in (0, None)
            assert proof.recompiles in (0, None)
            assert proof.mismatches == ()

    def test_execution_mode_and_options_are_recorded(self, launch: tuple[Observed, Outputs]) -> None:
        """How the runtime was used stands in the report."""
        observed = launch[0]
        for name in observed.execution_modes:
            assert {"weights", "kv_cache"} <= set(observed.execution_modes[name])
            assert observed.options[name]
        assert not self.stateful or observed.execution_modes["decode"]["kv_cache"] != "none"

    def test_memory_is_a_number_or_a_reason(self, launch: tuple[Observed, Outputs]) -> None:
        """Unknown is never zero."""
        for readings in launch[0].memory.values():
            assert set(readings) <= {"planned_bytes", "allocator_peak_bytes"}
            assert all(reading.value is None or reading.value > 0 for reading in readings.values())
        peaks = launch[0].peaks
        assert set(peaks) <= {"allocator_peak_bytes", "allocator_reserved_bytes"}
        assert all(reading.value is None or reading.value > 0 for reading in peaks.values())

    def test_nothing_compiles_while_it_runs(self, launch: tuple[Observed, Outputs]) -> None:
        """The counters stand still over repeated runs."""
        before, after = launch[0].counters
        assert before == after

    def test_no_helper_process_outlives_stop(self, launch: tuple[Observed, Outputs]) -> None:
        """Compile workers have ended before any timed window."""
        assert launch[0].children == (), launch[0].children

    def test_imports_one_runtime(self, launch: tuple[Observed, Outputs]) -> None:
        """No other framework shares the process."""
        if self.imports is not None:
            assert set(launch[0].frameworks) <= self.imports

    def check(self, arrays: Outputs, case: str, wanted: Outputs) -> None:
        """All outputs of a case: tokens equal, the rest within `relative_l2`."""
        for name, reference in wanted.items():
            found = arrays[f"{case}/{name}"]
            assert found.shape == reference.shape, f"{case}/{name}"
            if reference.dtype.kind == "i":
                assert found.dtype == np.int64, f"{case}/{name}"
                np.testing.assert_array_equal(found, reference, err_msg=f"{case}/{name}")
            else:
                assert found.dtype == np.float32, f"{case}/{name}"
                error = np.linalg.norm(found - reference) / np.linalg.norm(reference)
                assert error <= self.relative_l2, f"{case}/{name}: relative error {error:.2e}"


def lowered_programs(formats: tuple[str, ...], directory: Path) -> Mapping[str, LoweredProgram]:
    """The tiny programs in these formats, lowered in a process of its own; `directory` keeps the cache."""
    directory = directory / "contract-lowered"
    directory.mkdir(exist_ok=True)
    if set(formats) == {"module"}:
        tiny.write_weights({}, directory)
        weights = str(directory / "weights.safetensors")
        return {
            name: LoweredProgram(program=each, weights_file=weights, artifacts={})
            for name, each in tiny.point().programs.items()
        }
    request, response = directory / "request.json", directory / "response.json"
    asked = LoweringRequest(points=(tiny.point(),), formats=formats, cache=str(directory / "cache"), pool=1)
    request.write_bytes(wire.encode(asked))
    done = subprocess.run(
        module_command("steelyard.lowering", str(request), str(response)),
        env=for_child(temporary=directory),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"lowering the tiny programs failed\n{done.stderr[-6000:]}"
    answer = wire.read(response, LoweringResponse)
    assert not answer.failures, answer.failures
    return answer.points[0].programs
