"""New inputs reach the program, in every launch; and runners without state need write nothing for it."""

from pathlib import Path

import pytest

from steelyard.core.errors import Unsupported
from tests.engine.test_launch import _at_the_root, launch  # noqa: F401 (a fixture)
from tests.fakes.plain import PlainBinding


@pytest.mark.parametrize("steady", [False, True])
def test_a_runner_without_state_needs_no_update_and_no_adopt(tmp_path: Path, steady: bool) -> None:
    (result,) = launch(tmp_path, "tests.fakes.plain:Plain", steady=steady).results
    assert (result.status, result.reason) == ("ok", "")


@pytest.mark.parametrize("steady", [False, True])
def test_an_update_that_does_nothing_is_found_in_the_cold_launch_and_in_every_other(
    tmp_path: Path, steady: bool
) -> None:
    (result,) = launch(tmp_path, "tests.fakes.plain:Deaf", steady=steady).results
    assert result.status == "incorrect"
    assert "update() does not replace what run() reads" in result.reason


def test_a_binding_that_can_take_no_new_inputs_says_what_to_write(tmp_path: Path) -> None:
    (result,) = launch(tmp_path, "tests.fakes.plain:Closed", steady=False).results
    assert result.status == "unsupported"
    assert "ClosedBinding takes no new inputs" in result.reason
    assert "or write update()" in result.reason


def test_a_binding_without_state_says_so_where_it_should_adopt_one() -> None:
    with pytest.raises(Unsupported, match=r"PlainBinding carries no state .*write adopt\(\) to run `generate`"):
        PlainBinding({}, None).adopt(PlainBinding({}, None))
