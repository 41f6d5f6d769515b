"""TVM's search for schedules, MetaSchedule, a candidate at a time: built here, checked and timed in a process apart.

Its own loop would start workers anew for each batch, which import TVM for longer than they build, and would time
what it never checked. Candidates come from its evolutionary search; what was measured is added to the schedules that
`tvm[schedules=FOLDER]` compiles with.
"""

import json
import os
import select
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from steelyard.adapters.bound import artifact_of
from steelyard.core.errors import SteelyardError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.reason import reason_of
from steelyard.core.tuning import Part, Tried
from steelyard.guard.child import module_command

_BATCH = 16
_LIMIT_S = 60
_EVALUATOR = "steelyard.adapters.tvm_candidate"


def search(runner: Any, program: LoweredProgram, seed: int) -> Iterator[tuple[Part, ...] | Tried]:
    """The kernels of a program, then trials without end, each for the kernel in which most time is left to save: the
    largest share of a call over the trials that it had. Ends where no kernel has another candidate.

    Raises SteelyardError where a kernel cannot even run as the compiler makes it unasked.
    """
    import tvm
    from tvm.s_tir import meta_schedule

    artifact = artifact_of(program, "tvm")
    module = tvm.ir.load_json((Path(artifact.directory) / artifact.entry).read_text())
    tasks = meta_schedule.relax_integration.extract_tasks(runner.kernels(module), runner.target)
    if not tasks:
        raise SteelyardError(f"program '{program.program.name}': it has no kernel whose schedule could be searched")
    yield tuple(Part(name=task.task_name, calls=int(task.weight)) for task in tasks)
    with tempfile.TemporaryDirectory(dir=runner.context.scratch) as folder, Evaluator() as evaluator:
        database = runner.database(create=True)
        kernels = [_Kernel(task, runner.target, database, evaluator, Path(folder), seed) for task in tasks]
        while pending := [each for each in kernels if not each.exhausted]:
            kernel = max(pending, key=lambda each: each.due)
            yield from kernel.batch()


class Evaluator:
    """The process that runs candidates. One that crashes it, or holds it too long, is a trial without a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask(self, **asked: Any) -> Mapping[str, Any]:
        """What it answers: `latency_s`, or the `reason` why there is none."""
        if self._process is None:
            self._process = subprocess.Popen(
                module_command(_EVALUATOR), env=os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with suppress(BrokenPipeError):
            stdin.write(json.dumps(asked) + "\n")
            stdin.flush()
        if not select.select([stdout], [], [], _LIMIT_S)[0]:
            self._end()
            return {"reason": f"it took longer than {_LIMIT_S} s"}
        if line := stdout.readline():
            answer: Mapping[str, Any] = json.loads(line)
            return answer
        return {"reason": f"it ended its process with {self._end()}"}

    def _end(self) -> int:
        """Its exit code; it is ended where it has not ended by itself."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=0.5)
        process.kill()
        return process.wait()


class _Kernel:
    """One task of MetaSchedule: its search, and the answers that its candidates must give."""

    def __init__(self, task: Any, target: Any, database: Any, evaluator: Evaluator, folder: Path, seed: int) -> None:
        from tvm.s_tir import meta_schedule

        self.name, self.calls = task.task_name, int(task.weight)
        self._module, self._target, self._database = task.dispatched[0], target, database
        self._evaluator, self._folder = evaluator, folder
        self._context = meta_schedule.TuneContext(
            mod=self._module,
            target=target,
            space_generator="post-order-apply",
            search_strategy="evolutionary",
            task_name=self.name,
            rand_state=seed % (2**31 - 2) + 1,
            num_threads=max(1, target.attrs.get("num-cores", 1)),
        )
        self._workload: Any = None
        self._trials = self._builds = 0
        self._best_s: float | None = None
        self.exhausted = False

    @property
    def due(self) -> float:
        """How much there is to save here, roughly: without end where nothing was tried, and nothing where no candidate
        was right, so that it waits for the others."""
        if not self._trials:
            return float("inf")
        return 0.0 if self._best_s is None else self.calls * self._best_s / self._trials

    def batch(self) -> Iterator[Tried]:
        """The next candidates, tried one after the other."""
        if self._workload is None:
            self._begin()
        candidates = self._context.generate_measure_candidates()
        if not candidates:
            self.exhausted = True
            return
        results = []
        for candidate in candidates:
            answer = self._tried(candidate)
            latency_s = answer.get("latency_s")
            results.append(_result(latency_s, answer.get("reason")))
            if latency_s is not None:
                self._keep(candidate, latency_s)
            self._trials += 1
            yield Tried(
                candidate=f"{self.name} #{self._trials}",
                part=self.name,
                latency_s=latency_s,
                reason=answer.get("reason", ""),
            )
        self._context.notify_runner_results(candidates, results)

    def _begin(self) -> None:
        """What the kernel computes without any schedule is what every candidate must."""
        from tvm.s_tir import meta_schedule
        from tvm.s_tir.meta_schedule.arg_info import ArgInfo

        self._workload = self._database.commit_workload(self._module)
        self._answers = self._folder / self.name
        self._answers.mkdir()
        kinds = [(str(each.dtype), [int(n) for n in each.shape]) for each in ArgInfo.from_entry_func(self._module)]
        told = self._evaluator.ask(file=self._built(self._module), answers=str(self._answers), kinds=kinds)
        if told.get("reason"):
            raise SteelyardError(f"kernel {self.name}: it does not run without a schedule: {told['reason']}")
        self._context.pre_tuning(
            max_trials=1 << 30,
            num_trials_per_iter=_BATCH,
            database=self._database,
            cost_model=meta_schedule.cost_model.RandomModel(),
        )

    def _tried(self, candidate: Any) -> Mapping[str, Any]:
        try:
            file = self._built(candidate.sch.mod)
        except Exception as error:  # noqa: BLE001 (whatever the compiler raises is the reason)
            return {"reason": f"not built: {reason_of(error)}"}
        answer = self._evaluator.ask(file=file, answers=str(self._answers))
        Path(file).unlink()
        return answer

    def _built(self, module: Any) -> str:
        import tvm
        from tvm.s_tir.transform import RemoveWeightLayoutRewriteBlock

        whole = RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(module)
        self._builds += 1  # a name of its own: the loader knows files by name
        file = self._folder / f"{self.name}-{self._builds}.so"
        tvm.compile(whole, target=self._target).export_library(str(file))
        return str(file)

    def _keep(self, candidate: Any, latency_s: float) -> None:
        from tvm.s_tir.meta_schedule.database import TuningRecord

        self._best_s = latency_s if self._best_s is None else min(latency_s, self._best_s)
        record = TuningRecord(candidate.sch.trace, self._workload, [latency_s], self._target, candidate.args_info)
        self._database.commit_tuning_record(record)


def _result(latency_s: float | None, reason: str | None) -> Any:
    from tvm.s_tir.meta_schedule.runner import RunnerResult

    return RunnerResult(None if latency_s is None else [latency_s], reason)
