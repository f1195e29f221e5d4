"""Where a setting's value comes from: the environment, a file that it names, or `.env`, for each name that outsiders rely on."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from nebuloviz.errors import ConfigurationError
from nebuloviz.settings import PREFIX, load

SECRET = "Zm9yZ2V0IG1lIG5vdCwgMDEyMzQ1Njc4OQ-" * 2
#: Name -> a value that is not the default.
NAMES = {
    "HOST": "127.0.0.9",
    "PORT": "8999",
    "DATA_DIR": "/srv/sales",
    "DATABASE_URL": "postgresql://shop:word@127.0.0.1/shop",
    "REDIS_URL": "redis://127.0.0.1:6400/3",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092,127.0.0.1:9093",
    "KAFKA_TOPIC": "lines",
    "KAFKA_GROUP": "another",
    "SECRET_KEY": SECRET,
    "ADMIN_PASSWORD": "  correct horse battery ",
    "DEMO": "off",
}
#: The places, the one that wins first.
PLACES = ("environment", "environment's file", ".env", ".env's file")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; nothing is set."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(place: str, name: str, value: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variable, given = f"{PREFIX}{name}", value
    if place.endswith("file"):
        path = folder / f"{place[:4]} {name.lower()}"
        path.write_text(f"{value}\n")
        variable, given = f"{variable}_FILE", str(path)
    if place.startswith("env"):
        monkeypatch.setenv(variable, given)
    else:
        with (folder / ".env").open("a") as lines:
            lines.write(f"{variable}='{given}'\n")


def value_of(name: str) -> str:
    value = getattr(load(), name.lower())
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("name", "value"), NAMES.items(), ids=NAMES)
def test_a_value_comes_from(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, place: str) -> None:
    """The newline at a file's end is not of the value; the spaces are."""
    assert value_of(name) != value
    put(place, name, value, folder, monkeypatch)
    assert value_of(name) == value


@pytest.mark.parametrize("first", range(len(PLACES) - 1), ids=PLACES[:-1])
def test_what_comes_first_wins(folder: Path, monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    for number, place in enumerate(PLACES[first:], first):
        put(place, "KAFKA_TOPIC", f"topic-{number}", folder, monkeypatch)
    assert load().kafka_topic == f"topic-{first}"


@pytest.mark.parametrize("place", [place for place in PLACES if place.endswith("file")])
@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00secret"], ids=["absent", "no text"])
def test_a_file_that_cannot_be_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, content: bytes | None
) -> None:
    put(place, "SECRET_KEY", SECRET, folder, monkeypatch)
    path = folder / f"{place[:4]} secret_key"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="SECRET_KEY_FILE names") as refused:
        load()
    assert str(path) in refused.value.message


def test_an_env_file_that_is_no_text_is_named(folder: Path) -> None:
    (folder / ".env").write_bytes(b"NEBULOVIZ_HOST=\xff\n")
    with pytest.raises(ConfigurationError, match=r"\.env"):
        load()
