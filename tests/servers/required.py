"""What becomes of a test whose server is not installed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.servers.base import MissingServerError


@contextmanager
def needs_servers() -> Iterator[None]:
    """Turn a missing program into a skip, or into a failure where servers are required."""
    try:
        yield
    except MissingServerError as error:
        reason = str(error)
    else:
        return
    if os.environ.get("NEBULOVIZ_TEST_SERVERS") == "required":
        pytest.fail(f"{reason}, and NEBULOVIZ_TEST_SERVERS=required", pytrace=False)
    pytest.skip(reason)
