"""Uploads in their folder: kept whole, limited, forgotten in time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nebuloviz.errors import NotFound, PayloadTooLarge
from nebuloviz.services.uploads import MAX_WAITING, UploadStore


def store(folder: Path, later: timedelta = timedelta(0)) -> UploadStore:
    return UploadStore(folder / "uploads", lambda: 1, lambda: datetime.now(UTC) + later)


def test_a_file_is_kept_whole_until_it_is_removed(tmp_path: Path) -> None:
    uploads = store(tmp_path)
    upload = uploads.get(uploads.store("../my shop\r\n.csv", [b"a,b\n", b"1,2\n"]))
    assert (upload.path.read_bytes(), upload.name) == (b"a,b\n1,2\n", "../my shop.csv")
    uploads.remove(upload)
    assert list((tmp_path / "uploads").iterdir()) == []


def test_a_file_over_the_limit_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(PayloadTooLarge):
        store(tmp_path).store("big.csv", (b"x" * 100_000 for _ in range(11)))
    assert list((tmp_path / "uploads").iterdir()) == []


@pytest.mark.parametrize("upload_id", ["", "../secret_key", "0" * 32, "x" * 32])
def test_no_other_file_can_be_reached(tmp_path: Path, upload_id: str) -> None:
    (tmp_path / "secret_key").write_text("secret")
    with pytest.raises(NotFound):
        store(tmp_path).get(upload_id)


def test_of_one_owner_so_many_wait_and_the_least_recently_used_gives_way(tmp_path: Path) -> None:
    uploads = store(tmp_path)
    other = uploads.store("other.csv", [b"other"], 2)
    ids = [uploads.store(f"{number}.csv", [b"%d" % number], 1) for number in range(MAX_WAITING)]
    importing = uploads.get(ids[1]).digest
    for upload_id in (ids[0], *ids[2:]):
        uploads.get(upload_id)
    more = [uploads.store(f"{number}.csv", [b"more"], 1, {importing}) for number in range(3)]
    left = {path.name for path in (tmp_path / "uploads").iterdir() if not path.suffix}
    assert left == {other, ids[1], *ids[3:], *more}
    with pytest.raises(NotFound):
        uploads.get(ids[0])


def test_those_that_nobody_imports_are_forgotten_after_a_day(tmp_path: Path) -> None:
    store(tmp_path).store("a.csv", [b"a"])
    uploads = store(tmp_path, later=timedelta(days=2))
    upload = uploads.get(uploads.store("b.csv", [b"b"]))
    assert {path.stem for path in (tmp_path / "uploads").iterdir()} == {upload.path.name}
