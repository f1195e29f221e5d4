"""Files of users: encodings, delimiters, columns, and what is refused."""

import codecs

import pytest

from nebuloviz.errors import InvalidInput
from nebuloviz.services.user_files import MAX_BYTES, MAX_ROWS, UserRow, read_users, template

HEAD = "username,role\n"


def test_the_template_is_such_a_file() -> None:
    (row,) = read_users(template().encode())
    assert row == UserRow(2, "anna", "anna@example.com", "analyst", {"store": ["367", "406"]})


class TestReading:
    @pytest.mark.parametrize(
        "data",
        [
            "username,email,role,store\nJosé,j@b.example,viewer,Málaga\n".encode(),
            "username,email,role,store\r\nJosé,j@b.example,viewer,Málaga\r\n".encode("utf-8-sig"),
            "username;email;role;store\nJosé;j@b.example;viewer;Málaga".encode("cp1252"),
            "username\temail\trole\tstore\nJosé\tj@b.example\tviewer\tMálaga\n".encode("utf-16"),
            codecs.BOM_UTF16_BE + "username,email,role,store\nJosé,j@b.example,viewer,Málaga\n".encode("utf-16-be"),
            ' User , E-Mail ,ROLE,Store,,\n\n" José ",j@b.example , viewer,"Málaga",,\n,,,\n'.encode(),
            "role,store,name,mail\nviewer,Málaga,José,j@b.example\n".encode(),
        ],
        ids=["utf-8", "with a mark", "windows", "utf-16", "big end first", "with spaces", "in another order"],
    )
    def test_takes_what_spreadsheets_save(self, data: bytes) -> None:
        (row,) = read_users(data)
        assert (row.username, row.email, row.role) == ("José", "j@b.example", "viewer")
        assert row.scope == {"store": ["Málaga"]}
        assert row.problem == ""

    def test_names_the_line_that_a_row_begins_in(self) -> None:
        rows = read_users(b'username,role,store\na,viewer,"two\nlines"\n\nb,viewer\n')
        assert [(row.line, row.username) for row in rows] == [(2, "a"), (5, "b")]

    def test_takes_several_values_of_a_cell(self) -> None:
        (row,) = read_users(b"username,role,store,region\na,viewer, 1 | 2||3 ,\n")
        assert row.scope == {"store": ["1", "2", "3"]}

    def test_a_row_that_is_too_long_is_a_problem_of_its_own(self) -> None:
        long, good = read_users((HEAD + "a,viewer,x\nb,viewer,\n").encode())
        assert "more cells" in long.problem
        assert good.problem == ""

    def test_ends_at_its_limits(self) -> None:
        assert len(read_users((HEAD + "a,viewer\n" * MAX_ROWS).encode())) == MAX_ROWS
        with pytest.raises(InvalidInput, match="too many rows"):
            read_users((HEAD + "a,viewer\n" * (MAX_ROWS + 1)).encode())
        with pytest.raises(InvalidInput, match="too large"):
            read_users(HEAD.encode() + b"x" * MAX_BYTES)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "missing|no column"),
        (b"\n\n", "missing"),
        (HEAD.encode(), "no rows"),
        (b"username,role\n,\n", "no rows"),
        (b"username\nanna\n", "role is missing"),
        (b"role\nviewer\n", "username is missing"),
        (b"username,role,regions\na,viewer,north\n", "no column regions"),  # else everything would be seen
        (b"username,role,,store\na,viewer,,1\n", "no column"),
        (b"username,role,name\na,viewer,b\n", "twice"),
        (b"username,role,scope\na,viewer,{}\n", "no column scope"),
        (b"username,role,password\na,viewer,secret\n", "no column password"),
        (b'username,role\n"a,viewer\n', "quotation mark"),
        (b'username,role\n"a"b,viewer\n', "quotation mark"),
        (b"PK\x03\x04\x00\x00", "not a text file"),
        (b"username,role\na\x00,viewer\n", "not a text file"),
        (b"\xff\xfeu\x00s\x00e", "not a text file"),
        (b"username,role\n\x81\x8d,viewer\n", "not a text file"),
        (b"=cmd|'/c calc'!A1,role\n", "no column"),
    ],
    ids=range(18),
)
def test_what_is_no_file_of_users_is_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read_users(data)
