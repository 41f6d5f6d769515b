"""The page of pitfalls: all of them, each with a test and a mutant that exist."""

import ast
import re

import pytest

from tests.mutants.mutants import MUTANTS

ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \| (.*?) \|$", re.MULTILINE)
NODE = re.compile(r"`([\w/]+\.py)::(\w+)`")


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "pitfalls.md").read_text()


def test_all_are_there_in_order(page):
    assert [int(number) for number, *_ in ROW.findall(page)] == list(range(1, 50))


def test_every_guard_has_a_test_or_says_why_not(page):
    for number, _, _, test, _ in ROW.findall(page):
        assert NODE.fullmatch(test) or test.startswith(("untested: ", "needs a GPU")), number


def test_the_tests_exist(page, repository):
    nodes = set(NODE.findall(page))
    assert nodes
    for path, function in nodes:
        tree = ast.parse((repository / path).read_text())
        assert function in {item.name for item in ast.walk(tree) if isinstance(item, ast.FunctionDef)}, (path, function)


def test_every_mutant_is_named(page):
    names = {mutant.name for mutant in MUTANTS}
    assert {name for *_, mutants in ROW.findall(page) for name in mutants.split(", ") if name} <= names
    assert all(name in page for name in names)
