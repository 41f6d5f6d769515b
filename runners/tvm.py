"""TVM: the Relax module compiled for this CPU by LLVM and called through its virtual machine, weights as arguments.

`tvm_untuned` runs what the compiler makes of a program unasked: loops as the operators define them, hardly any of which
is tiled, vectorised or parallel. TVM's speed is that of schedules which MetaSchedule finds: `tvm[schedules=FOLDER]`
compiles with those that `bench tune` has put into a folder.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from steelyard.adapters import denormals
from steelyard.adapters.stored_weights import StoredWeights
from steelyard.adapters.tvm_program import TvmProgram, is_scheduled, library, versions
from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.citation import Citation
from steelyard.core.errors import MissingPackage, Unsupported, UsageError
from steelyard.core.hashing import file_sha256
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import LaunchContext, Runner

_LENGTH = 1 << 12


class TvmUntuned(Runner):
    """TVM's compiler without any search for schedules."""

    formats = ("tvm",)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {"fusion": "off"}, "max": {"fusion": "on"}}
    requirements = ("apache-tvm", "apache-tvm-ffi")
    accepts: ClassVar[Mapping[str, str]] = {
        "fusion": "on: operators are fused (the pipeline of TVM's CPU backend); off: they are not (that of tvm.compile)"
    }
    values: ClassVar[Mapping[str, tuple[str, ...]]] = {"fusion": ("on", "off")}
    ladder: ClassVar[tuple[str, ...]] = ("tvm_untuned", "tvm_untuned[fusion=on]")
    keeps_cache = ""
    tells: ClassVar[Mapping[str, str]] = {"compilation": "steelyard.adapters.tvm_compilation"}
    folder = "none"
    idle = "only where it is named, as in --backend all,tvm_untuned"
    citation = Citation(
        key="tvm",
        title="TVM: An Automated End-to-End Optimizing Compiler for Deep Learning",
        authors=("Chen, Tianqi", "Moreau, Thierry", "Jiang, Ziheng", "Zheng, Lianmin", "others"),
        year=2018,
        url="https://tvm.apache.org",
    )

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        chosen = self.check_options(context.backend)
        self.fusion = chosen.get("fusion", self.tunings[context.budget.tuning]["fusion"])
        self.target: Any = None
        self.weights = StoredWeights(self.put)
        self._denormals = ""

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Whether TVM is here with LLVM. Raises UsageError for options that do not exist."""
        cls.check_options(backend)
        try:
            tvm = library()
        except MissingPackage as error:
            return Availability(available=False, reason=str(error))
        if not tvm.runtime.enabled("llvm"):
            return Availability(available=False, reason="this build of TVM has no LLVM", versions=versions())
        return Availability(available=True, versions=versions(), devices=("cpu",))

    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        """The size of the pool, which is read when TVM is loaded. Its workers would be bound to the first CPUs of the
        host, whichever the process may use: they are left where the process is."""
        return {"TVM_NUM_THREADS": str(context.threads_a_call), "TVM_BIND_THREADS": "0"}

    def start(self) -> None:
        """Import TVM and say what to compile for: this CPU, and as many cores as the budget has threads."""
        tvm = library()
        kind = {"kind": "llvm", "mcpu": tvm.target.codegen.llvm_get_system_cpu()}
        self.target = tvm.target.Target({**kind, "num-cores": self.context.threads_a_call})

    def load(self, program: LoweredProgram) -> TvmProgram:
        """Find the module, and read those of its weights that no earlier program has brought."""
        return TvmProgram(self, program)

    def lower(self, module: Any) -> Any:
        """A Relax module as loops and code of the virtual machine."""
        from tvm import relax

        whole = relax.get_default_pipeline(self.target) if self.fusion == "on" else relax.get_pipeline("default")
        return whole(module)

    def origin(self, scheduled: int) -> str:
        """Where the schedules come from, in words."""
        return "untuned: no schedule was searched for"

    def told(self) -> Mapping[str, Any]:
        """More of them, for the proof."""
        return {}

    def put(self, array: Any) -> Any:
        """A copy of an array of the host in memory of TVM."""
        import tvm

        return tvm.runtime.empty(array.shape, array.dtype.name).copyfrom(array)

    def denormals(self) -> str:
        """A product of denormal numbers in a function of its own."""
        import numpy as np
        import tvm
        from tvm import te

        if not self._denormals:
            given = te.placeholder((_LENGTH,), "float32")
            product = te.compute((_LENGTH,), lambda place: given[place] * 1.5)
            made = tvm.compile(te.create_prim_func([given, product]), target=self.target)
            arrays = [self.put(np.full(_LENGTH, denormals.TINY, np.float32)), self.put(np.zeros(_LENGTH, np.float32))]
            made["main"](*arrays)
            # Looked at as bits by numpy: a comparison may count them as zero itself.
            self._denormals = denormals.in_words(int(np.count_nonzero(arrays[1].numpy().view(np.uint32))), _LENGTH)
        return self._denormals


class Tvm(TvmUntuned):
    """TVM's compiler with the schedules of a folder, which `bench tune` fills."""

    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {"fusion": "on"}, "max": {"fusion": "on"}}
    accepts: ClassVar[Mapping[str, str]] = {"schedules": "a folder of schedules, which bench tune fills"}
    values: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    ladder: ClassVar[tuple[str, ...]] = ()
    idle = "takes a folder of schedules, which bench tune fills: tvm[schedules=FOLDER]"
    tuner = "steelyard.adapters.tvm_search:search"
    untuned = "tvm_untuned[fusion=on]"

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.folder = context.backend.options.get("schedules", "none")

    @classmethod
    def check_options(cls, backend: BackendSpec) -> Mapping[str, str]:
        """The options in brackets. Raises UsageError for one that it does not take, or without a folder."""
        if "schedules" not in backend.options:
            raise UsageError("name the folder of schedules, which bench tune fills: tvm[schedules=FOLDER]")
        return super().check_options(backend)

    def kernels(self, module: Any) -> Any:
        """A Relax module as calls of fused loops, before any has a schedule."""
        import tvm
        from tvm.relax.backend.cpu_generic import pipeline

        before = (*pipeline.library_dispatch_passes(self.target), *pipeline.legalize_passes(self.target))
        with self.target:
            return tvm.transform.Sequential(list(before))(module)

    def lower(self, module: Any) -> Any:
        """As of a program without schedules, with the best of each kernel. Raises Unsupported where none is known."""
        import tvm
        from tvm.relax import transform
        from tvm.relax.backend.cpu_generic import pipeline

        after = (*pipeline.dataflow_lower_passes(self.target), *pipeline.finalize_passes(self.target))
        with self.target, self.database():
            scheduled = transform.MetaScheduleApplyDatabase()(self.kernels(module))
            if not any(map(is_scheduled, scheduled.functions.values())):
                raise Unsupported(
                    f"{self.folder} has no schedule for any kernel of this program on this CPU: bench tune"
                )
            return tvm.transform.Sequential(list(after))(scheduled)

    def database(self, *, create: bool = False) -> Any:
        """The folder as MetaSchedule keeps it. Raises Unsupported where there is none, unless it is to be made."""
        from tvm.s_tir import meta_schedule

        workloads, records = self._files
        if create or (records.is_file() and "Tensorize" in records.read_text()):
            # Half a minute, and needed where schedules name what it registers.
            import tvm.s_tir.tensor_intrin  # noqa: F401
        if create:
            workloads.parent.mkdir(parents=True, exist_ok=True)
        elif not records.is_file():
            raise Unsupported(f"{self.folder} holds no schedules: bench tune --backend {self.context.backend.text}")
        return meta_schedule.database.JSONDatabase(str(workloads), str(records))

    def origin(self, scheduled: int) -> str:
        """How many functions have one, and of how many that were tried."""
        return f"schedules of {scheduled} functions, the best of {self.told()['schedules']['records']} in {self.folder}"

    def told(self) -> Mapping[str, Any]:
        """How many are in the folder, and what they are."""
        records = self._files[1]
        count = len(records.read_text().splitlines())
        return {"schedules": {"records": count, "sha256": file_sha256(records)}}

    @property
    def _files(self) -> tuple[Path, Path]:
        folder = Path(self.folder)
        return folder / "workloads.json", folder / "records.json"


RUNNERS = {"tvm": Tvm, "tvm_untuned": TvmUntuned}
