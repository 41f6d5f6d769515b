import pytest
import torch
from steelyard.suites.llm import SUITE, weights, work
from steelyard.suites.llm.decoder import build
from steelyard.suites.llm.exact import exact
from steelyard.suites.llm.families import FAMILIES, SIZES
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from steelyard.core.workload import Selection
from steelyard.lowering.source import build_module

PROMPT, TOKENS = 16, 8


def generate_point(model):
    selection = Selection(
        device_kind="cpu", size="tiny", workloads=("generate",), axes={"model": (model,), "batch": ("2",)}
    )
    (point,) = SUITE.points(selection)
    return point


@pytest.fixture(scope="module", params=list(FAMILIES))
def case(request, tmp_path_factory):
    """A tiny model: its point, its weight file."""
    point = generate_point(request.param)
    directory = tmp_path_factory.mktemp(request.param)
    weights.write(point.programs["decode"].weights.arguments, directory, None)
    return point, directory / weights.FILE


def module(case, name, **options):
    point, file = case
    return build_module(point.programs[name], file, **{"in_place": False, **options})


def prompt_ids(rows=2, length=PROMPT):
    return torch.randint(0, 512, (rows, length), generator=torch.Generator().manual_seed(5))


def greedy(prefill, decode, ids, tokens=TOKENS):
    token, logits, *state = prefill(ids)
    chosen, all_logits = [token], [logits]
    for position in range(ids.shape[1], ids.shape[1] + tokens - 1):
        token, logits, *state = decode(chosen[-1][:, None], torch.tensor([position]), *state)
        chosen.append(token)
        all_logits.append(logits.clone())
    return torch.stack(chosen, dim=1), torch.stack(all_logits, dim=1)


def transformers_greedy(case, ids):
    """The same model as a user of transformers runs it: own class, dynamic cache, generate()."""
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    point, file = case
    config = dict(point.programs["decode"].arguments["config"])
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(config.pop("model_type"), **config)).eval()
    missing, unexpected = model.load_state_dict(load_file(file), strict=False)
    assert set(missing) <= {"lm_head.weight"}
    assert not unexpected
    model.tie_weights()
    model.generation_config = GenerationConfig()  # the class would bring an end token of its own
    settings = GenerationConfig(
        max_new_tokens=TOKENS,
        do_sample=False,
        output_scores=True,
        return_dict_in_generate=True,
        eos_token_id=None,
        pad_token_id=0,
    )
    out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    return out.sequences[:, PROMPT:], torch.stack(out.scores, dim=1)


def test_functional_in_place_and_transformers_give_the_same_answer(case):
    ids = prompt_ids()
    functional, logits = greedy(module(case, "prefill"), module(case, "decode"), ids)
    in_place, logits_in_place = greedy(
        module(case, "prefill", in_place=True), module(case, "decode", in_place=True), ids
    )
    theirs, scores = transformers_greedy(case, ids)
    assert functional.tolist() == in_place.tolist() == theirs.tolist()
    torch.testing.assert_close(logits, scores, atol=2e-4, rtol=0)
    torch.testing.assert_close(logits_in_place, scores, atol=2e-4, rtol=0)


def test_in_place_writes_into_the_passed_tensors_and_functional_does_not(case):
    prefill = module(case, "prefill")
    token, _, *state = prefill(prompt_ids())
    before = [part.clone() for part in state]
    _, _, *after = module(case, "decode")(token[:, None], torch.tensor([PROMPT]), *state)
    assert all(torch.equal(part, kept) for part, kept in zip(state, before, strict=True))
    _, _, *same = module(case, "decode", in_place=True)(token[:, None], torch.tensor([PROMPT]), *state)
    assert [part.data_ptr() for part in same] == [part.data_ptr() for part in state]
    for part, kept, new in zip(state, before, after, strict=True):
        torch.testing.assert_close(part, new)
        changed = (part != kept).any(dim=3).any(dim=1).any(dim=0)
        assert changed.nonzero().flatten().tolist() == [PROMPT]


def test_prefill_leaves_the_places_beyond_the_prompt_zero(case):
    point, _ = case
    program = point.programs["prefill"]
    outputs = module(case, "prefill")(prompt_ids())
    assert [tuple(part.shape) for part in outputs] == [spec.shape for spec in program.outputs]
    assert all(str(part.dtype) == f"torch.{spec.dtype}" for part, spec in zip(outputs, program.outputs, strict=True))
    for part in outputs[2:]:
        assert part[:, :, :PROMPT].abs().amin(dim=3).min() > 0
        assert not part[:, :, PROMPT:].any()


def test_what_lies_beyond_the_position_does_not_matter(case):
    decode = module(case, "decode")
    token, _, *state = module(case, "prefill")(prompt_ids())
    dirty = [part.clone() for part in state]
    for part in dirty:
        part[:, :, PROMPT + 1 :] = 7.0
    clean = decode(token[:, None], torch.tensor([PROMPT]), *state)
    assert torch.equal(clean[1], decode(token[:, None], torch.tensor([PROMPT]), *dirty)[1])
    earlier = [part.clone() for part in state]
    for part in earlier:
        part[:, :, 3] = 7.0
    assert not torch.allclose(clean[1], decode(token[:, None], torch.tensor([PROMPT]), *earlier)[1], atol=1e-3)


def test_exported_programs_agree_and_keep_every_output(case):
    for name in ("prefill", "decode"):
        point, _ = case
        program, source = point.programs[name], module(case, name)
        token, _, *state = module(case, "prefill")(prompt_ids())
        inputs = (prompt_ids(),) if name == "prefill" else (token[:, None], torch.tensor([PROMPT]), *state)
        exported = torch.export.export(source, inputs, strict=False)
        expected, got = source(*inputs), exported.module()(*inputs)
        assert len(got) == len(program.outputs)
        assert not exported.graph_signature.buffers_to_mutate
        assert not exported.graph_signature.user_inputs_to_mutate
        for one, other in zip(expected, got, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_in_place_compiles_to_one_graph(case):
    token, _, *state = module(case, "prefill", in_place=True)(prompt_ids())
    decode = module(case, "decode", in_place=True)
    mirror = [part.clone() for part in state]
    expected = decode(token[:, None], torch.tensor([PROMPT]), *state)
    torch.compiler.reset()
    compiled = torch.compile(decode, fullgraph=True, dynamic=False, backend="aot_eager")
    with torch.inference_mode():
        got = compiled(token[:, None], torch.tensor([PROMPT]), *mirror)
    torch.testing.assert_close(got[1], expected[1], atol=1e-5, rtol=1e-5)
    assert got[2].data_ptr() == mirror[0].data_ptr()


def test_the_reference_is_float64_throughout(case):
    """A module merely cast to float64 still rounds inside norms and rotary embeddings; `exact` does not."""
    double = module(case, "prefill", dtype="float64")
    ids = prompt_ids()
    with torch.no_grad():
        cast = double(ids)[1]
    with exact(double):
        reference = double(ids)[1]
        assert double(ids)[1].dtype == torch.float64
    error = (cast - reference).norm() / reference.norm()
    if double.config.model_type == "gpt2":
        assert error < 1e-14, "GPT-2 has no float32 islands"
    else:
        assert 1e-9 < error < 1e-5
    single = module(case, "prefill")(ids)[1]
    assert (single.double() - reference).norm() / reference.norm() < 1e-5
    assert torch.randn(2, dtype=torch.float32).float().dtype == torch.float32, "nothing stays patched"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_counted_right_and_buffers_are_real(family, size):
    config = FAMILIES[family].configs[size]
    made = build(in_place=False, kind="decode", config=dict(config), capacity=64, dtype="bfloat16")
    assert sum(parameter.numel() for parameter in made.parameters()) == work.geometry(config).parameters
    assert {parameter.device.type for parameter in made.parameters()} == {"meta"}
    assert {parameter.dtype for parameter in made.parameters()} == {torch.bfloat16}
    assert all(buffer.device.type == "cpu" and buffer.dtype == torch.float32 for buffer in made.buffers())
    assert not set(dict(made.named_buffers())) & set(made.state_dict()), "a checkpoint holds no buffers"


def test_floating_point_operations_are_those_that_torch_counts(case):
    point, _ = case
    shape = work.geometry(point.programs["prefill"].arguments["config"])
    # the composite kernel, whose matrix products are counted one by one
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        module(case, "prefill")(prompt_ids())
    square = 2 * 4.0 * shape.layers * shape.heads * shape.head_dim * PROMPT * PROMPT
    causal = square * (PROMPT + 1) / (2 * PROMPT)
    ours = work.prefill_flop(shape, batch=2, prompt=PROMPT)
    assert counter.get_total_flops() == ours - causal + square


def test_a_default_meta_device_does_not_reach_the_buffers():
    config = dict(FAMILIES["llama"].configs["tiny"])
    plain = build(in_place=False, kind="decode", config=config, capacity=8, dtype="float32")
    with torch.device("meta"):
        under_meta = build(in_place=False, kind="decode", config=config, capacity=8, dtype="float32")
    for one, other in zip(plain.buffers(), under_meta.buffers(), strict=True):
        assert torch.equal(one, other)
