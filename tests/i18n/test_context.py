"""Whose preferences are in force where, and time zones."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from nebuloviz.errors import InvalidInput
from nebuloviz.i18n import Preferences, current, local, set_current, use, zone


class TestCurrent:
    def test_without_any_it_is_english_and_utc(self) -> None:
        assert current() == Preferences("en", "UTC", "", 0, None)

    def test_a_block_puts_the_old_ones_back_also_after_an_error(self) -> None:
        with use(Preferences("de")):
            with pytest.raises(ZeroDivisionError), use(Preferences("ar")):
                assert 1 // (current().language != "ar")
            assert current().language == "de"
        assert current().language == "en"

    def test_threads_do_not_see_each_others(self) -> None:
        seen = []

        def request() -> None:
            seen.append(current().language)
            set_current(Preferences("es"))
            seen.append(current().language)

        with use(Preferences("de")):
            thread = threading.Thread(target=request)
            thread.start()
            thread.join()
            assert (seen, current().language) == (["en", "es"], "de")

    def test_tasks_do_not_see_each_others(self) -> None:
        async def request(language: str) -> str:
            set_current(Preferences(language))
            await asyncio.sleep(0.01)
            return current().language

        async def both() -> list[str]:
            return list(await asyncio.gather(request("de"), request("ar")))

        assert asyncio.run(both()) == ["de", "ar"]


class TestZones:
    @pytest.mark.parametrize("name", ["Europe/Berlin", "Asia/Kolkata", "UTC"])
    def test_known_ones_are_found(self, name: str) -> None:
        assert zone(name).key == name

    @pytest.mark.parametrize(
        "name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "a\0b", "x" * 10_000]
    )
    def test_others_are_refused_with_a_reason(self, name: str) -> None:
        with pytest.raises(InvalidInput, match="no time zone called"):
            zone(name)

    def test_a_moment_is_put_on_the_readers_clock(self) -> None:
        with use(Preferences(time_zone="Asia/Kolkata")):
            shown = local(datetime(2026, 11, 22, 20, 0, tzinfo=UTC))
        assert shown.replace(tzinfo=None) == datetime(2026, 11, 23, 1, 30)

    def test_a_time_without_a_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="without a zone"):
            local(datetime(2026, 11, 22))
