"""Which backend for what: nobody is called best on less than the report says elsewhere."""

from steelyard.tables.build import build
from tests.fakes.runs import Outcome, llm_points, synthetic_run

EFFECT = {"xla": 0.5, "onnxruntime": 0.5}
BACKENDS = ("eager", "xla", "onnxruntime")


def rows_of(**how):
    table = build(synthetic_run(**{"backends": BACKENDS, "effect": EFFECT, **how})).table("choice")
    found = {}
    for row in table.rows:
        question, *numbers = row.cells
        *arms, open_, total = numbers
        told = {column.title: cell.text for column, cell in zip(table.columns[1:], arms, strict=False)}
        found[question.text] = (told, open_.value, total.value)
    return found


def test_those_that_cannot_be_told_apart_are_best_together():
    told, open_, total = rows_of(points=llm_points(("decode",)), headline="decode")["Latency"]
    assert told == {"eager": "–", "xla": "0 +1", "onnxruntime": "0 +1"}
    assert (open_, total) == (0, 1)


def test_the_fastest_is_best_where_its_interval_separates_it():
    effect = {"xla|prefill": 0.3, "onnxruntime|decode": 0.3, "onnxruntime|generate": 0.3}
    told, open_, total = rows_of(effect=effect)["Latency"]
    assert told == {"eager": "–", "xla": "1", "onnxruntime": "2"}
    assert (open_, total) == (0, 3)


def test_without_verdicts_nobody_is_the_fastest():
    told, open_, total = rows_of(rounds=2)["Latency"]
    assert set(told.values()) == {"–"}
    assert open_ == total == 3


def test_a_wrong_answer_is_best_at_nothing():
    statuses = {("xla", name): Outcome(status="incorrect") for name in ("prefill", "decode", "generate")}
    for told, _, _ in rows_of(statuses=statuses, effect={"xla": 0.2}).values():
        assert told["xla"] == "–"


def test_a_run_of_one_backend_has_no_such_table():
    data = build(synthetic_run(backends=("eager",)))
    assert "choice" not in [table.name for table in data.tables]


def test_memory_compile_time_and_error_are_answered_where_there_are_intervals():
    found = rows_of(points=llm_points(("decode",)), headline="decode", rounds=12)
    assert set(found) == {"Latency", "Peak memory", "Compile time", "Error"}
    assert all(total == 1 for _, _, total in found.values())
    assert found["Compile time"][0]["eager"] == "1"  # it compiles nothing


def test_what_has_no_interval_is_not_counted():
    assert "Peak memory" not in rows_of(rounds=4)
