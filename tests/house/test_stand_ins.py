"""The page of stand-ins: every line names tests, and they exist."""

import ast
import re

from tests.house.test_pitfalls import NODE

LINE = re.compile(r"^\| (?!what can happen|---)(.+?) \| (.+) \|$", re.MULTILINE)


def test_every_line_names_tests_that_exist(repository):
    lines = LINE.findall((repository / "docs" / "stand-ins.md").read_text())
    assert len(lines) > 30
    for what, tests in lines:
        named = [NODE.fullmatch(node) for node in tests.split(", ")]
        assert all(named), what
        for match in named:
            tree = ast.parse((repository / match[1]).read_text())
            assert match[2] in {item.name for item in ast.walk(tree) if isinstance(item, ast.FunctionDef)}, match[0]
