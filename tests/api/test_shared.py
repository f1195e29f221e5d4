"""Look-ups that are shared are never older than the question."""

import asyncio

import pytest

from nebuloviz.api.shared import Shared
from nebuloviz.errors import NotSignedIn


class Source:
    """Counts how often it is asked; answers when `answers` is set, with the number that held when it was asked."""

    def __init__(self) -> None:
        self.asked, self.answers = 0, asyncio.Event()

    async def look_up(self) -> int:
        self.asked += 1
        number = self.asked
        await self.answers.wait()
        return number


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_asks_while_one_is_looked_up_shares_the_next() -> None:
    async def ask_in_turns() -> tuple[list[int], int]:
        shared, source = Shared[int](), Source()
        asking = [asyncio.create_task(shared.ask("a", source.look_up))]
        await _settled()
        asking += [asyncio.create_task(shared.ask("a", source.look_up)) for _ in range(5)]
        await _settled()
        source.answers.set()
        return await asyncio.gather(*asking), source.asked

    assert asyncio.run(ask_in_turns()) == ([1, 2, 2, 2, 2, 2], 2)


def test_keys_do_not_wait_for_each_other() -> None:
    async def ask_for_two() -> int:
        shared, waiting, other = Shared[int](), Source(), Source()
        first = asyncio.create_task(shared.ask("a", waiting.look_up))
        await _settled()
        other.answers.set()
        found = await shared.ask("b", other.look_up)
        waiting.answers.set()
        await first
        return found

    assert asyncio.run(ask_for_two()) == 1


def test_what_is_refused_is_refused_to_each_by_itself() -> None:
    async def refused() -> tuple[list[str], int]:
        shared, asked = Shared[int](), 0

        async def refuse() -> int:
            nonlocal asked
            asked += 1
            number = asked
            await asyncio.sleep(0)
            raise NotSignedIn(f"{number}")

        answers = await asyncio.gather(*(shared.ask("a", refuse) for _ in range(3)), return_exceptions=True)
        return sorted(map(str, answers)), asked

    assert asyncio.run(refused()) == (["1", "2", "3"], 3)


def test_who_gives_up_takes_nobody_with_it() -> None:
    async def give_up() -> int:
        shared, source = Shared[int](), Source()
        leaving = asyncio.create_task(shared.ask("a", source.look_up))
        staying = asyncio.create_task(shared.ask("a", source.look_up))
        await _settled()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        source.answers.set()
        return await staying

    assert asyncio.run(give_up()) == 1
