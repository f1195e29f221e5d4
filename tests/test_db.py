"""What the database keeps to: no statement takes for ever."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from nebuloviz.db import Database

_SLEEP = text("SELECT pg_sleep(600)")
_ENDED = "canceling statement due to statement timeout"


def test_a_statement_that_takes_too_long_is_ended(postgres_url: str) -> None:
    database = Database(postgres_url, statement_timeout_seconds=1)
    with pytest.raises(DBAPIError, match=_ENDED), database.session() as session:
        session.execute(_SLEEP)
    with database.session() as session:
        assert session.scalar(text("SELECT 1")) == 1
    database.dispose()


def test_so_is_one_of_the_event_loop(postgres_url: str) -> None:
    database = Database(postgres_url, statement_timeout_seconds=1)

    async def sleep() -> None:
        async with database.async_session() as session:
            await session.execute(_SLEEP)

    async def all_of_it() -> None:
        with pytest.raises(DBAPIError, match=_ENDED):
            await sleep()
        await database.dispose_async()

    asyncio.run(all_of_it())
