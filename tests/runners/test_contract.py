"""The contract tests themselves: a right runner passes, and each way of being wrong fails the test made for it."""

import os
import re
import subprocess
import sys

import pytest

NUMPY_RUNNER = """
import numpy as np
from steelyard.contract import program as tiny
from steelyard.core.backend import Availability
from steelyard.core.errors import UsageError
from steelyard.core.result import Proof
from steelyard.core.runner import Binding, Executable, Runner

FAULT = ""


class NumpyBinding(Binding):
    def __init__(self, executable, inputs):
        self.executable, copy = executable, FAULT != "keeps the caller's memory"
        self.inputs = {name: array.copy() if copy else array for name, array in inputs.items()}
        self.out, self.first = {}, None

    def run(self):
        ids, self.executable.runner.runs = self.inputs["input_ids"], self.executable.runner.runs + 1
        if "position" in self.inputs:
            out = tiny.decode_reference(ids, int(self.inputs["position"][0]), self.inputs["cache.0.k"])
        else:
            out = tiny.prefill_reference(ids)
        out = {name: array if array.dtype.kind == "i" else array.astype(np.float32) for name, array in out.items()}
        if FAULT == "answers from memory":
            out = self.executable.answer = self.executable.answer or out
        if FAULT == "imprecise":
            out["logits"] = out["logits"].astype(np.float16).astype(np.float32)
        if FAULT == "reuses its output" and self.executable.shared is not None:
            for name, array in out.items():
                self.executable.shared[name][...] = array
            out = self.executable.shared
        self.executable.shared = self.out = out

    def read(self, names=None):
        copy = (lambda array: array) if FAULT == "reuses its output" else np.copy
        return {name: copy(self.out[name]) for name in (names or self.out)}

    def settle(self):
        if "cache.0.k" in self.inputs and FAULT != "loses the state":
            self.inputs["cache.0.k"] = self.out["cache.0.k"].copy()

    def update(self, inputs):
        self.inputs.update(inputs)

    def adopt(self, source):
        self.inputs["cache.0.k"] = source.out["cache.0.k"].copy()


class NumpyExecutable(Executable):
    execution_mode, options = {"weights": "constants", "kv_cache": "copied"}, {"blas": "numpy"}

    def __init__(self, runner, program):
        self.runner, self.program, self.shared, self.answer = runner, program, None, None

    def compile(self):
        pass

    def bind(self, inputs):
        for spec in self.program.inputs:
            if spec.name not in inputs:
                raise UsageError(f"input '{spec.name}' is missing")
        return NumpyBinding(self, inputs)

    def proof(self):
        mismatches = ("ran elsewhere",) if FAULT == "falls back" else ()
        return Proof(runtime="numpy", versions={"numpy": np.__version__}, platform="cpu", dtype="float32",
                     threads=None, placement={"numpy": 1}, mismatches=mismatches)


class NumpyRunner(Runner):
    formats, tunings, keeps_cache = ("module",), {"default": {}, "max": {}}, ""
    runs, accepts = 0, {"fault": "what it gets wrong"}

    def __init__(self, context):
        global FAULT  # one runner a process
        FAULT = context.backend.options.get("fault", "")
        super().__init__(context)

    @classmethod
    def availability(cls, backend, device_kind):
        return Availability(available=device_kind == "cpu", reason="", versions={"numpy": "2"}, devices=("cpu",)) \\
            if device_kind == "cpu" else Availability(available=False, reason="numpy has no such device")

    def start(self):
        if FAULT == "leaves a process behind":
            import subprocess
            self.child = subprocess.Popen(["sleep", "20"])

    def load(self, program):
        return NumpyExecutable(self, program.program)

    def counters(self):
        return {"compilations": self.runs if FAULT == "compiles on every run" else 0}

"""

FAULTS = {
    "": set(),
    "answers from memory": {"test_other_inputs_give_other_outputs", "test_prefill_is_right"},
    "imprecise": {"test_prefill_is_right", "test_an_answer_follows_its_own_tokens"},
    "keeps the caller's memory": {"test_decode_is_right_with_a_given_state"},
    "reuses its output": {"test_reads_are_copies"},
    "loses the state": {"test_an_answer_follows_its_own_tokens"},
    "falls back": {"test_proof_is_filled_and_finds_nothing_wrong"},
    "compiles on every run": {"test_nothing_compiles_while_it_runs"},
    "leaves a process behind": {"test_no_helper_process_outlives_stop"},
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """The tests that failed, by fault: one run of pytest over a class per fault."""
    home = tmp_path_factory.mktemp("contract-itself")
    (home / "own").mkdir()
    (home / "own" / "__init__.py").write_text("")
    (home / "own" / "runner.py").write_text(NUMPY_RUNNER)
    classes = [
        f"class Test{number}(RunnerContract):\n"
        f"    backend = {'own.runner:NumpyRunner' + (f'[fault={fault}]' if fault else '')!r}\n"
        f"    imports = frozenset()\n"
        for number, fault in enumerate(FAULTS)
    ]
    file = home / "test_own.py"
    file.write_text("from steelyard.contract.runner import RunnerContract\n\n" + "\n".join(classes))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfE", str(file)],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not re.search("^ERROR", done.stdout, re.MULTILINE), done.stdout[-3000:]
    found = re.findall(r"^FAILED \S+::Test(\d+)::(test_\w+)", done.stdout, re.MULTILINE)
    return {fault: {test for at, test in found if int(at) == number} for number, fault in enumerate(FAULTS)}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_contract_tells_right_from_wrong(fault, failures):
    assert failures[fault] >= FAULTS[fault]
    assert bool(failures[fault]) == bool(fault)
