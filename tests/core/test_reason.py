"""What is said of an error: its innermost cause, where it was raised, and nothing of where the files lie."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from steelyard.core.errors import Unsupported
from steelyard.core.reason import log_of, reason_of, relative, said

HERE = "tests/core/test_reason.py"


class Wrapper(RuntimeError):
    """As a compiler's error around that of a user's function."""


def raised(call: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as found:
        call()
    return found.value


def fail() -> None:
    raise ValueError("no such op")


def wrapped() -> None:
    try:
        fail()
    except ValueError as error:
        raise Wrapper(f"backend='broken' raised:\nValueError: {error}\n\nSet VERBOSE=1 for more") from error


def hidden() -> None:
    try:
        fail()
    except ValueError:
        raise Wrapper("compilation did not succeed\nsee the log")  # noqa: B904 (as frameworks do)


def kept_apart() -> None:
    try:
        fail()
    except ValueError:
        raise Wrapper("try something else") from None


def of_ours() -> None:
    try:
        wrapped()
    except Wrapper as error:
        raise Unsupported("it cannot run here: install it\nor not") from error


def around_ours() -> None:
    try:
        of_ours()
    except Unsupported as error:
        raise Wrapper("backend='broken' raised:") from error


def in_the_library() -> None:
    re.compile("(")


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (fail, rf"ValueError: no such op \({HERE}:\d+\)"),
        (wrapped, rf"Wrapper: backend='broken' raised: ValueError: no such op \({HERE}:\d+\)"),
        (hidden, rf"Wrapper: compilation did not succeed; cause: ValueError: no such op \({HERE}:\d+\)"),
        (kept_apart, rf"Wrapper: try something else \({HERE}:\d+\)"),
        (of_ours, r"it cannot run here: install it"),
        (around_ours, r"Wrapper: backend='broken' raised; cause: it cannot run here: install it"),
        (in_the_library, rf"error: missing \), unterminated subpattern at position 0 \({HERE}:\d+\)"),
    ],
)
def test_the_innermost_cause_is_told_with_its_place_in_the_users_code(call: Callable[[], object], reason: str) -> None:
    assert re.fullmatch(reason, reason_of(raised(call)))


def test_the_line_is_that_of_the_user_and_not_that_of_the_library() -> None:
    lines = Path(__file__).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if text == '    re.compile("(")')
    assert reason_of(raised(in_the_library)).endswith(f"({HERE}:{line})")


def test_an_error_without_words_has_its_name() -> None:
    assert said(ValueError()) == "ValueError"
    assert reason_of(ValueError()) == "ValueError"
    assert len(reason_of(ValueError("x" * 10_000))) <= 500


def test_a_path_is_told_from_where_modules_are_looked_for() -> None:
    import json.decoder

    root = str(Path(__file__).parents[2])
    assert relative(f"{root}/mypkg/mymod.py") == "mypkg/mymod.py"
    assert relative(json.decoder.__file__) == "json/decoder.py"
    assert relative("/home/somebody/elsewhere/mymod.py") == "elsewhere/mymod.py"
    assert relative("mymod.py") == "mymod.py"


def test_a_traceback_names_no_folder_of_the_user() -> None:
    log = log_of(raised(wrapped))
    assert f'File "{HERE}", line' in log
    assert str(Path(__file__).parents[2]) not in log
    assert log.rstrip().endswith("Set VERBOSE=1 for more")


def test_colours_of_a_terminal_are_left_out() -> None:
    error = RuntimeError("failed. \x1b[96mThis is step 3/3\x1b[0m of exporting\n\x1b[1;31mmore\x1b[m")
    assert said(error) == "failed. This is step 3/3 of exporting"
