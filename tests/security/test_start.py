"""A start that cannot be a good one is refused in a sentence: what is wrong, what to do, no traceback and no secret."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from nebuloviz.db import Database
from nebuloviz.errors import ConfigurationError
from nebuloviz.settings import load
from tests.program import PASSWORD, ROOT, environment_of, run, started
from tests.security.conftest import SECRET

POSTGRES = "postgresql://shop:geheim@127.0.0.1:1/shop"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"database_url": POSTGRES}, "SECRET_KEY"),
        ({"database_url": POSTGRES, "secret_key": "CHANGE-ME 0123456789 abcdefghijklmnop"}, "SECRET_KEY"),
        ({"secret_key_file": "/no/such/file"}, "SECRET_KEY_FILE"),
        ({"admin_password": "adminadmin"}, "ADMIN_PASSWORD"),
        (
            {"environment": "production", "secret_key": SECRET, "public_address": "https://shop.example"},
            "COOKIE_SECURE",
        ),
        ({"database_url": "postgresql://shop:geheim@host:port/x", "secret_key": SECRET}, "DATABASE_URL"),
        ({"redis_url": "http://shop:geheim@127.0.0.1"}, "REDIS_URL"),
        ({"trusted_proxies": "all"}, "TRUSTED_PROXIES"),
        ({"data_dir": "/proc/nowhere"}, "DATA_DIR"),
    ],
    ids=repr,
)
def test_of_half_a_configuration_is_refused(tmp_path: Path, settings: dict[str, str], named: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nebuloviz", "serve"],
        env=environment_of(Path(settings.pop("data_dir", tmp_path)), **settings),
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert done.returncode not in {0, -15}
    assert named in said
    assert "Traceback" not in said
    assert "geheim" not in said
    assert "ready" not in said


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "short",
        "a" * 64,
        "ab" * 32,
        "changeme-changeme-changeme-0123456789",
        "your_secret_key_goes_here_0123456789",
        "Replace This By 0123456789 abcdefghij",
        "an example of a secret key, 0123456789",
        "insecure-0123456789abcdefghijklmnopqrs",
    ],
)
@pytest.mark.parametrize("more", [{"environment": "production"}, {"database_url": POSTGRES}], ids=repr)
def test_of_production_needs_a_secret_that_nobody_knows(secret: str, more: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        load(secret_key=secret or None, **more).secret()
    assert load(secret_key=SECRET, **more).secret() == SECRET


@pytest.mark.parametrize(
    "url",
    [
        "shop:geheim@host",
        "mysql://shop:geheim@host/x",
        "postgresql://shop:geheim@host:port/x",
        "http://geheim@x",
        "\x00",
    ],
)
def test_of_a_database_that_is_none_says_so_and_nothing_of_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Database(url)
    assert "geheim" not in refused.value.message


def test_of_production_without_a_first_password_waits_for_one_and_makes_none_up(tmp_path: Path) -> None:
    """In a log it would stay for whoever reads it."""
    environment = environment_of(tmp_path, environment="production", secret_key=SECRET)
    del environment["NEBULOVIZ_ADMIN_PASSWORD"]
    run(["-m", "nebuloviz", "migrate"], environment)
    with started(environment) as program, program.client() as client:
        waits = client.get("/readyz")
        assert waits.status_code == 503
        assert "NEBULOVIZ_ADMIN_PASSWORD" in waits.json()["parts"]["database"]["detail"]
        assert "Sign in as" not in program.log.read_text()
        assert run(["-m", "nebuloviz", "user", "list"], environment) == ""
        run(["-m", "nebuloviz", "user", "add", "admin", "--role", "admin"], environment, f"{PASSWORD}\n{PASSWORD}\n")
        for _ in range(300):
            if client.get("/readyz").status_code == 200:
                break
            time.sleep(0.2)
        assert client.get("/readyz").status_code == 200
        program.signed_in("admin").close()


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://shop:geheim@127.0.0.1", "redis:/x", "REDIS"])
def test_of_a_redis_that_is_none_says_so_and_nothing_of_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL") as refused:
        load(redis_url=url)
    assert "geheim" not in refused.value.message
