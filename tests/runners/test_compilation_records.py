"""What compilers record of themselves, read: whole, cut off, and of somebody else."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from steelyard.adapters import (
    machine_code,
    onnxruntime_compilation,
    openvino_compilation,
    torch_compilation,
    xla_compilation,
)
from steelyard.core.errors import SteelyardError

OPENVINO = """t;ov::pass::InitNodeInfo;First;1000;0
m;First;3000;0
m_start;First;100000
m_end;First;103000
t;Short;Plugin;2000;0
t;ov::pass::Inner;Nested;4000;1
m;Nested;5000;1
m_start;Nested;210000
m_end;Nested;215000
t;Long;Plugin;9000;1
t;Long;Plugin;1000;0
m;Plugin;20000;1
m_start;Plugin;200000
m_end;Plugin;220000
"""


def test_managers_of_openvino_hold_their_passes_and_these_the_managers_that_ran_in_them():
    first, plugin = openvino_compilation.passes_of(OPENVINO)
    assert (first.name, first.seconds, first.own_s) == ("First", pytest.approx(3e-6), pytest.approx(2e-6))
    assert plugin.seconds == pytest.approx(20e-6)
    short, long = plugin.parts
    assert (short.name, short.parts) == ("Short", ())
    assert (long.name, long.times, long.own_s) == ("Long", 2, pytest.approx(5e-6))
    (nested,) = long.parts
    assert [part.name for part in nested.parts] == ["Inner"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello\n", "line 1 .* is not one of OpenVINO's"),
        ("t;Pass;Manager;many;0\n", "line 1"),
        ("m_end;Nobody;1\n", "line 1"),
        ("t;Pass;Manager;1000;0\n", "cut off"),
        ("t;Pass;Manager;1000;0\nm;Manager;2000;0\n", "cut off"),
    ],
)
def test_a_record_of_openvino_that_is_damaged_is_told(text, said):
    with pytest.raises(SteelyardError, match=said):
        openvino_compilation.passes_of(text)


PROFILE = json.dumps(
    [
        {"cat": "Session", "name": "model_loading_uri", "dur": 400, "ts": 1, "args": {}},
        {"cat": "Session", "name": "session_initialization", "dur": 1000, "ts": 500, "args": {}},
    ]
).encode()
LOG = """2026-11-30 22:26:50.431983391 [V:onnxruntime:, m.cc:35 ApplyTransformers] Applying 16 graph transformer(s) for level 1 for up to 10 step(s).
2026-11-30 22:26:50.000100000 [V:onnxruntime:, m.cc:55 ApplyTransformers] Applying graph transformer Fusion on step 1.
2026-11-30 22:26:50.000300000 [I:onnxruntime:, t.cc:15 Apply] GraphTransformer Fusion modified: 1 with status: OK
2026-11-30 22:26:50.000400000 [V:onnxruntime:, m.cc:55 ApplyTransformers] Applying graph transformer Fusion on step 2.
2026-11-30 22:26:50.000500000 [I:onnxruntime:, t.cc:15 Apply] GraphTransformer Fusion modified: 0 with status: OK
something else that was said
2026-11-30 22:26:50.000600000 [V:onnxruntime:, m.cc:55 ApplyTransformers] Applying graph transformer Lost on step 2.
"""  # noqa: E501 (as it is written)


def test_a_session_of_onnxruntime_is_reading_and_making_with_the_passes_in_it():
    reading, making = onnxruntime_compilation.phases_of(PROFILE, LOG)
    assert (reading.kind, reading.seconds) == ("load", pytest.approx(400e-6))
    assert (making.seconds, making.own_s) == (pytest.approx(1000e-6), pytest.approx(700e-6))
    (level,) = making.parts
    (fusion,) = level.parts
    assert (level.name, fusion.name, fusion.times) == ("graph transformers of level 1", "Fusion", 2)


STEPS = """2026-11-30 22:26:51.000100000 [I:onnxruntime:, s.cc:293 SaveInitializedTensors] Saving initialized tensors.
2026-11-30 22:26:51.000150000 [I:onnxruntime:, s.cc:650 SaveInitializedTensors] Done saving initialized tensors
2026-11-30 22:26:51.000400000 [I:onnxruntime:, i.cc:3424 operator()] Session successfully initialized.
"""


def test_what_a_session_of_onnxruntime_does_after_its_passes():
    steps = {phase.name: round(phase.own_s * 1e6, 3) for phase in onnxruntime_compilation.steps_of(STEPS)}
    assert steps == {"initialized tensors": 50, "kernels and packed weights": 250}
    assert onnxruntime_compilation.steps_of(STEPS + STEPS) == (), "graphs within nodes"
    _, making = onnxruntime_compilation.phases_of(PROFILE, LOG + STEPS)
    assert (len(making.parts), making.own_s) == (3, pytest.approx(400e-6))


@pytest.mark.parametrize(
    ("profile", "log", "said"),
    [
        (PROFILE[:-20], LOG, "not a whole profile"),
        (b"[]", LOG, "no event model_loading_uri, session_initialization"),
        (b"\xff\xfe", LOG, "not a whole profile"),
        (PROFILE, LOG.replace("50.000300000", "50.900300000"), "in 0.001 s of session_initialization"),
    ],
)
def test_a_profile_or_log_of_onnxruntime_that_cannot_be_is_told(profile, log, said):
    with pytest.raises(SteelyardError, match=said):
        onnxruntime_compilation.phases_of(profile, log)


def event(sort, name, at_us):
    return {"ph": sort, "name": name, "ts": at_us, "pid": 0, "tid": 0}


def test_events_of_torch_are_nested_but_for_what_other_threads_do():
    events = [
        event("E", "dynamo", 1),  # its begin came before the records
        event("B", "code_gen", 10),
        event("B", "compile_file", 20),
        event("B", "async_compile.wait", 30),
        event("B", "compile_file", 40),
        event("E", "compile_file", 50),
        event("E", "compile_file", 70),
        event("E", "async_compile.wait", 80),
        event("E", "code_gen", 90),
        event("B", "build_guards", 95),  # does not end
        {"ph": "i", "name": "fx_graph_cache_miss", "ts": 20},
        {"ph": "B", "name": 7, "ts": "soon"},
    ]
    found = torch_compilation.spans_of(events, 100_000)
    assert [(span.name, span.begin_ns / 1e3, span.end_ns / 1e3, span.parent) for span in found] == [
        ("code_gen", 10, 90, None),
        ("compile_file", 20, 70, 0),
        ("async_compile.wait", 30, 80, 0),
        ("compile_file", 40, 50, 2),
        ("build_guards", 95, 100, None),
    ]
    assert [span.kind for span in found] == ["codegen", "native", "native", "native", "trace"]


def xla_event(name, start, lasted, **stats):
    return SimpleNamespace(name=name, start_ns=start, duration_ns=lasted, stats=tuple(stats.items()))


def planes(*lines):
    return [
        SimpleNamespace(name="/host:CPU", lines=[SimpleNamespace(name=str(n), events=e) for n, e in enumerate(lines)])
    ]


RECORD, START, STOP = (f"ThreadpoolListener::{name}" for name in ("Record", "StartRegion", "StopRegion"))
MARK = xla_compilation._MARK


def test_work_that_xla_hands_to_a_pool_is_part_of_what_handed_it_over():
    asking = [xla_event(MARK, 0, 100), xla_event("backend_compile", 10, 80), xla_event(RECORD, 12, 0, _p=1)]
    compiler = [
        xla_event(START, 13, 0, _c=1),
        xla_event("CpuCompiler::RunBackend", 15, 60),
        xla_event(RECORD, 16, 0, _p=2),
        xla_event(STOP, 76, 0),
        xla_event("of nobody", 90, 1),
    ]
    pool = [
        xla_event(START, 17, 0, _c=2),
        xla_event("algsimp", 20, 5, _src="x/hlo_pass_pipeline.cc"),
        xla_event(STOP, 30, 0),
    ]
    found = xla_compilation.spans_of(planes(pool, compiler, asking))
    parents = {span.name: None if span.parent is None else found[span.parent].name for span in found}
    assert parents == {
        MARK: None,
        "of nobody": None,
        "backend_compile": MARK,
        "CpuCompiler::RunBackend": "backend_compile",
        "algsimp": "CpuCompiler::RunBackend",
    }
    assert {span.name: span.kind for span in found}["algsimp"] == "passes"


def test_a_trace_of_xla_without_the_compilation_is_told():
    with pytest.raises(SteelyardError, match="lost where the compilation began"):
        xla_compilation.spans_of(planes([xla_event("algsimp", 0, 5)]))


HLO = """HloModule jit_call

%fused (p: f32[4]) -> f32[4] {
  %p = f32[4]{0} parameter(0)
  ROOT %m.1 = f32[4]{0} multiply(%p, %p)
}

ENTRY %main (a: f32[4]) -> (f32[4]) {
  %a = f32[4]{0} parameter(0)
  %f = f32[4]{0} fusion(%a), kind=kLoop, calls=%fused
  ROOT %t = (f32[4]{0}) tuple(%f)
}
"""


def test_operators_of_hlo_and_of_its_entry_are_counted():
    stablehlo = """
    %0 = stablehlo.constant dense<1>
    %1 = stablehlo.multiply %a, %a : tensor<4xf32>
    %2:2 = "stablehlo.gather"(%1, %0) <{dimension_numbers = #stablehlo.gather<offset_dims = [1]>}> ({
    ^bb0(%x: tensor<f32>, %y: tensor<f32>):
      stablehlo.return %x : tensor<f32>
    })
    %3 = stablehlo.reduce(%1 init: %0) applies stablehlo.add across dimensions = [0]
"""
    exported, optimised, entry = xla_compilation.representations(stablehlo, HLO)
    assert exported.operators == {"multiply": 1, "gather": 1, "reduce": 1}
    assert optimised.operators == {"multiply": 1, "fusion": 1}
    assert entry.operators == {"fusion": 1}


def test_an_instruction_with_many_results_is_counted():
    six = ", ".join(f"/*index={n}*/f32[]" if n == 5 else "f32[]" for n in range(6))
    hlo = f"ENTRY %main (a: f32[]) -> f32[] {{\n  %w = ({six}) while(%t), condition=%c, body=%b\n}}\n"
    assert xla_compilation.representations("", hlo)[2].operators == {"while": 1}


LISTING = """
0000000000000000 <kernel>:
   0:\tpush   %rbp
   1:\tvmovups (%rdi),%zmm0
   7:\tvaddps %ymm0,%ymm1,%ymm2
   b:\tvaddss %xmm0,%xmm1,%xmm2
   f:\tvmovaps %xmm0,%xmm1
  13:\tnopw   0x0(%rax,%rax,1)
  19:\tcs nopw 0x0(%rax,%rax,1)
  1f:\tret
"""


def test_instructions_by_the_widest_register():
    assert machine_code.sorts(LISTING) == {"zmm": 1, "ymm": 1, "xmm": 1, "float": 1, "rest": 2}


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        (
            "float",
            "addss vaddsd movss vmovsd sqrtsd rsqrtss ucomiss vcmpeq_uqsd vrndscaless vrcp14ss vfnmadd231sd vaddsh",
        ),
        (
            "float",
            "cvtsi2ss vcvtsi2ssq cvtsi2sdl vcvtusi2sd vcvtss2sd cvtsd2ss cvttss2si vcvttsd2siq vcvtss2usi cvtsd2si",
        ),
        ("xmm", "vpabsd pabsd vbroadcastss vpdpbusd vpdpwssd vpdpbssd vpackssdw vpmovsdw vpbroadcastd vpmovsqd"),
        ("xmm", "vaddps mulpd vcvtdq2ps cvttps2dq vcvtps2pd movdqa vpxor pshufd movddup insertps movd vpcmpeqd xorps"),
    ],
)
def test_a_scalar_instruction_is_told_from_one_on_the_whole_register(sort, names):
    for name in names.split():
        for text in (name, f"{{evex}} {name}"):
            assert machine_code.sorts(f"   b:\t{text} %xmm0,%xmm1\n") == {sort: 1}, text


@pytest.fixture(scope="module")
def object_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("object")
    (folder / "f.cpp").write_text('extern "C" int f(int a) { return a + 1; }\n')
    try:
        subprocess.run(["g++", "-c", "-O1", "f.cpp", "-o", "f.o"], cwd=folder, check=True)
    except FileNotFoundError:
        pytest.skip("no C++ compiler")
    return (folder / "f.o").read_bytes()


def test_machine_code_lies_in_other_data_and_is_read_from_it(object_file):
    found = list(machine_code.embedded(b"\x0a\x7fELF\x00" + object_file + b"tail" + object_file))
    assert len(found) == 2
    code, alone = machine_code.machine_code(found, ""), machine_code.machine_code([object_file], "")
    assert alone.bytes.value is not None
    assert 2 <= alone.bytes.value < 64
    assert (code.objects, code.bytes.value) == (2, 2 * alone.bytes.value)


def test_machine_code_that_is_cut_off_or_none_is_told(object_file):
    with pytest.raises(SteelyardError, match=r"cut off|lacks the end"):
        list(machine_code.embedded(object_file[: len(object_file) // 2]))
    with pytest.raises(SteelyardError, match="no 64-bit ELF file"):
        machine_code.machine_code([b"MZ" + bytes(100)], "")
    none = machine_code.machine_code([], "made beforehand")
    assert (none.bytes.value, none.bytes.reason, none.instructions_untold) == (
        None,
        "made beforehand",
        "made beforehand",
    )


def test_without_objdump_instructions_are_absent_with_the_reason(object_file, monkeypatch):
    monkeypatch.setattr(machine_code.shutil, "which", lambda name: None)
    code = machine_code.machine_code([object_file], "")
    assert (code.instructions, code.instructions_untold) == ({}, "objdump is not installed: it comes with binutils")
    assert code.bytes.value


GRAPH = """class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[4][1]cpu", L_w_: "f32[4][1]cpu"):
        l_x_ = L_x_
        a: "f32[4][1]cpu" = torch.conv2d(l_x_, L_w_, (1, 1));  l_x_ = None
        b: "f32[4][1]cpu" = a @ L_w_;  a = None
        b += L_w_;  c: "f32[4][1]cpu" = b;  b = None
        d: "f32[4][1]cpu" = c.flatten(1, -1)
        max_pool2d_with_indices = torch.ops.aten.max_pool2d_with_indices.default(d, [3, 3])
        getitem: "f32[4][1]cpu" = max_pool2d_with_indices[0];  max_pool2d_with_indices = None
        return (getitem,)
"""


def test_operators_of_a_printed_graph_are_counted():
    (graph,) = torch_compilation.representations({"dynamo_output_graph": GRAPH})
    assert graph.operators == {
        "torch.conv2d": 1, "@": 1, "+=": 1, "flatten": 1, "aten.max_pool2d_with_indices": 1, "getitem": 1,
    }  # fmt: skip
    assert graph.bytes == len(GRAPH)


def test_the_generated_code_is_what_it_calls():
    code = """
def cpp_fused_relu_0(a): pass
def call(args):
    buf0 = extern_kernels.convolution(a, b)
    cpp_fused_relu_0(buf0)
    cpp_fused_relu_0(buf0)
    torch.ops.aten.sort.default(buf0)
"""
    (generated,) = torch_compilation.representations({"inductor_output_code": code})
    assert generated.operators == {
        "generated kernel": 2,
        "extern_kernels.convolution": 1,
        "torch.ops.aten.sort.default": 1,
    }
