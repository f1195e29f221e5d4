"""What this process keeps by itself, with a clock that stands."""

import pytest

from nebuloviz.cache.stores import LocalStore

MINUTE = 60.0
GENERATIONS = ["c:sales/2026"]


class Kept:
    """A store that believes nothing for longer than a minute without hearing of what others write."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.store = LocalStore(100, MINUTE, clock=lambda: self.time)

    def read(self, entry: str) -> bytes | None:
        return self.store.read(GENERATIONS, entry)[1]

    def write(self, entry: str, ttl_seconds: int = 86_400) -> None:
        self.store.write(entry, b"kept", ttl_seconds)

    def held(self) -> int:
        return len(self.store._entries._cache)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_who_hears_nothing_of_others_believes_for_a_minute(kept: Kept) -> None:
    kept.write("a")
    kept.time += 59
    assert kept.read("a") == b"kept"
    kept.time += 1
    assert kept.read("a") is None


def test_who_hears_that_nothing_has_changed_goes_on_believing(kept: Kept) -> None:
    kept.write("a")
    for _ in range(10):
        kept.time += 30
        kept.store.notice([])
        assert kept.read("a") == b"kept"
    kept.time += 60
    assert kept.read("a") is None


def test_what_is_written_again_and_again_is_looked_at_once_a_minute(kept: Kept) -> None:
    for _ in range(50):
        kept.write("a")
        kept.time += 30
        kept.store.notice([])
        assert kept.read("a") == b"kept"
    assert len(kept.store._looks) == 1


def test_who_hears_of_a_change_gives_another_stamp(kept: Kept) -> None:
    before, _payload = kept.store.read(GENERATIONS)
    kept.store.notice(["c:sales/2025"])
    assert kept.store.read(GENERATIONS)[0] == before
    kept.store.notice(GENERATIONS)
    assert kept.store.read(GENERATIONS)[0] != before


def test_what_has_had_its_time_is_over_whatever_is_heard(kept: Kept) -> None:
    kept.write("a", ttl_seconds=10)
    kept.time += 10
    kept.store.notice([])
    assert kept.read("a") is None


def test_what_nobody_reads_is_forgotten_though_it_may_be_believed(kept: Kept) -> None:
    kept.write("read")
    kept.write("left alone")
    for number in range(5):
        kept.time += 30
        kept.store.notice([])
        assert kept.read("read") == b"kept"
        kept.write(f"new {number}", ttl_seconds=20)
    assert kept.held() == 2, "but for the newest, those of 20 seconds are over"
    kept.time += MINUTE
    kept.write("last")
    assert kept.held() == 1
    assert kept.store._read_at.keys() == {"last"}
