"""What the text of an HLO module tells: instructions, their kinds, and which of them only surround others."""

from steelyard.adapters.hlo import instructions, kernels, nodes

TEXT = """\
HloModule jit_call, is_scheduled=true, entry_computation_layout={(f32[8,4]{1,0})->(f32[8,4]{1,0}, s32[])}

FileNames
1 "model.py"

StackFrames
1 {file_location_id=1 parent_frame_id=1}

%sum.1 (a.1: f32[], b.1: f32[]) -> f32[] {
  %a.1 = f32[] parameter(0), metadata={op_name="reduce_sum"}
  %b.1 = f32[] parameter(1)
  ROOT %add.9 = f32[] add(%a.1, %b.1), metadata={op_name="jit(call)/fx:mean/reduce_sum"}
}

%fused_computation.2 (p.2: f32[8,4]) -> f32[8] {
  %p.2 = f32[8,4]{1,0} parameter(0)
  %zero.2 = f32[] constant(0)
  %gelu.2 = f32[8,4]{1,0} multiply(%p.2, %p.2), metadata={op_name="jit(call)/fx:gelu/mul" stack_frame_id=1}
  ROOT %reduce.2 = f32[8]{0} reduce(%gelu.2, %zero.2), dimensions={1}, to_apply=%sum.1
}

%body.3 (s.3: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %s.3 = (s32[], f32[8,4]{1,0}) parameter(0)
  %step.3 = s32[] get-tuple-element(%s.3), index=0
  %dot.3 = f32[8,4]{1,0} dot(%s.3, %s.3), lhs_contracting_dims={1}, metadata={op_name="jit(call)/fx:mm/dot_general"}
  ROOT %tuple.3 = (s32[], f32[8,4]{1,0}) tuple(%step.3, %dot.3)
}

%condition.4 (s.4: (s32[], f32[8,4])) -> pred[] {
  %s.4 = (s32[], f32[8,4]{1,0}) parameter(0)
  ROOT %less.4 = pred[] compare(%s.4, %s.4), direction=LT
}

%left.5 (l.5: f32[8,4]) -> f32[8,4] {
  ROOT %tanh.5 = f32[8,4]{1,0} tanh(%l.5)
}

%right.6 (r.6: f32[8,4]) -> f32[8,4] {
  ROOT %sine.6 = f32[8,4]{1,0} sine(%r.6)
}

ENTRY %main.7 (x.7: f32[8,4]) -> (f32[8,4], s32[]) {
  %x.7 = f32[8,4]{1,0:T(8,128)} parameter(0)
  %layer.7 = f32[8]{0} fusion(%x.7), kind=kLoop, calls=%fused_computation.2, metadata={op_name="jit(call)/fx:layer/div"}
  %ynn_fusion = f32[8,4]{1,0} fusion(%x.7), kind=kCustom, backend_config={"fusion_config":{"kind":"__ynn_fusion"}}
  %while.7 = (s32[], /*index=1*/f32[8,4]{1,0}) while(%x.7), condition=%condition.4, body=%body.3
  %conditional.7 = f32[8,4]{1,0} conditional(%x.7), branch_computations={%left.5, %right.6}
  %svd.7 = (f32[8,4]{0,1}, s32[]) custom-call(%x.7), custom_call_target="lapack_sgesdd_ffi", metadata={op_name="body=x"}
  ROOT %copy.7 = f32[8,4]{1,0} copy(%x.7)
}
"""


def test_every_instruction_has_its_opcode_and_what_fusion_or_custom_call_it_is():
    kinds = {name: instruction.kind for name, instruction in instructions(TEXT).items()}
    assert {name: kind for name, kind in kinds.items() if name.endswith(".7") or name == "ynn_fusion"} == {
        "x.7": "parameter",
        "layer.7": "fusion kLoop",
        "ynn_fusion": "fusion __ynn_fusion",
        "while.7": "while",
        "conditional.7": "conditional",
        "svd.7": "custom-call lapack_sgesdd_ffi",
        "copy.7": "copy",
    }
    assert kinds["step.3"] == "get-tuple-element"
    assert len(kinds) == 22


def test_an_instruction_knows_its_computation_and_those_it_calls():
    known = instructions(TEXT)
    assert {known[name].computation for name in ("dot.3", "tuple.3")} == {"body.3"}
    assert known["copy.7"].computation == "main.7"
    assert known["while.7"].called == ("condition.4", "body.3")
    assert known["conditional.7"].called == ("left.5", "right.6")
    assert known["reduce.2"].called == ("sum.1",)
    assert known["svd.7"].called == ()  # what stands in quotes is a name, not a call


def test_names_without_a_percent_sign_are_read_as_well():
    assert instructions(TEXT.replace("%", "")) == instructions(TEXT)


def test_an_instruction_surrounds_others_where_those_were_executed_too():
    executed = kernels(instructions(TEXT), ["layer.7", "while.7", "dot.3", "conditional.7"])
    assert {name: kernel.wrapper for name, kernel in executed.items()} == {
        "layer.7": False,
        "while.7": True,
        "dot.3": False,
        "conditional.7": False,  # no event of either branch: its time is all that is known of them
    }


def test_a_fusion_has_the_operators_of_all_that_it_computes():
    executed = kernels(instructions(TEXT), ["layer.7", "dot.3", "while.7", "copy.7"])
    assert executed["layer.7"].sources == ("layer", "gelu", "mean")
    assert executed["dot.3"].sources == ("mm",)
    assert executed["while.7"].sources == ()
    assert executed["copy.7"].sources == ()


def test_a_name_that_is_not_in_the_text_is_of_unknown_kind():
    (kernel,) = kernels(instructions(TEXT), ["all-reduce.1"]).values()
    assert (kernel.name, kernel.kind, kernel.wrapper) == ("all-reduce.1", "unknown", False)


CAST = """\
HloModule jit_call, is_scheduled=true

%fused_computation (p: bf16[8]) -> bf16[8] {
  %p = bf16[8]{0} parameter(0)
  %seen = bf16[8]{0} bitcast(%p), metadata={op_name="jit(call)/fx:aten.linear:linear/reshape"}
  %twice = bf16[8]{0} multiply(%seen, %seen), metadata={op_name="jit(call)/fx:aten.mul:mul/mul"}
  %wide = f32[8]{0} convert(%twice), metadata={op_name="jit(call)/fx:aten.to:to/convert_element_type"}
  %grown = f32[8]{0} exponential(%wide), metadata={op_name="jit(call)/fx:aten.exp:exp/exp"}
  ROOT %narrow = bf16[8]{0} convert(%grown), metadata={op_name="jit(call)/fx:aten.to:to_1/convert_element_type"}
}

ENTRY %main (x: bf16[8]) -> bf16[8] {
  %x = bf16[8]{0} parameter(0)
  %product = bf16[8]{0} dot(%x, %x), metadata={op_name="jit(call)/fx:aten.linear:linear/dot_general"}
  ROOT %loop = bf16[8]{0} fusion(%product), kind=kLoop, calls=%fused_computation, metadata={op_name="fx:aten.to:to_1/x"}
}
"""


def test_a_cast_is_in_a_fusion_and_what_is_computed_elsewhere_is_not():
    assert dict(nodes(instructions(CAST), ["product", "loop"], ())) == {
        "product": ("linear",),
        "loop": ("to_1", "mul", "to", "exp"),
    }
