import pytest

from tests.sharing_out import group_of, spread


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("tests/api/test_data.py::test_one[sqlite]", "tests/api/test_data.py"),
        ("tests/web/test_guard.py::TestNobody::test_is_sent_to_sign_in[/]", "tests/web"),
        ("tests/security/test_tokens.py::test_one[postgresql-x]", "tests/security on postgresql"),
        ("tests/security/test_uploads.py::TestNames::test_two['con'-sqlite]", "tests/security on sqlite"),
        ("tests/security/test_start.py::test_of_half_a_configuration[postgresql://a]", "tests/security/test_start.py"),
    ],
)
def test_what_shares_a_running_program_stays_together(test: str, group: str) -> None:
    assert group_of(test) == group


def test_between_two_that_wait_are_two_that_compute() -> None:
    waiting, computing = [f"tests/faults/test_{name}.py" for name in "abc"], ["one", "two", "three", "four", "five"]
    a, b, c = waiting
    assert spread([*waiting, *computing]) == [a, "one", "two", b, "three", "four", c, "five"]
    assert spread([*waiting, "one"]) == [a, "one", b, c]
