import pytest

from tests.sharing_out import group_of


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
