"""The server for nginx and the settings that docs/operations.md gives: a real nginx ends TLS before the running program."""

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.deploy.files import ROOT
from tests.program import PASSWORD, csrf_token, environment_of, started
from tests.servers import HOST
from tests.servers.https import certificate
from tests.servers.nginx import NginxServer
from tests.servers.required import needs_servers

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
[SERVER] = re.findall(r"^```nginx\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
[TOLD] = re.findall(r"tell the program, .*?:\n\n((?:    NEBULOVIZ_\w+=.*\n)+)", PAGE)
SETTINGS = dict(re.findall(r"NEBULOVIZ_(\w+)=(.*)", TOLD))
NAME = "sales.example.com"

pytestmark = pytest.mark.servers


class TlsNginx(NginxServer):
    """As the page says, with the certificate in `folder` and on a free port."""

    def __init__(self, address: str, folder: Path) -> None:
        super().__init__([address])
        self._address = address
        self.key, self.certificate = certificate(folder)
        self._trusting = ssl.create_default_context(cafile=str(self.certificate))

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def prepare(self) -> None:
        text = SERVER
        for there, here in (
            ("listen 443 ssl;", f"listen {HOST}:{self.port} ssl;"),
            (f"/etc/letsencrypt/live/{NAME}/fullchain.pem", str(self.certificate)),
            (f"/etc/letsencrypt/live/{NAME}/privkey.pem", str(self.key)),
            ("http://127.0.0.1:8050", self._address),
        ):
            assert there in text
            text = text.replace(there, here)
        self.configure(text)

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=self._trusting, timeout=60, headers={"Host": NAME} | headers)

    def check(self) -> None:
        with self.client() as client:
            client.get("/healthz").raise_for_status()


@dataclass
class Behind:
    """`nginx` is what the world reaches; `direct` is where the program itself answers."""

    nginx: TlsNginx
    direct: str


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("tls")
    settings = {name.lower(): value for name, value in SETTINGS.items()}
    with needs_servers(), started(environment_of(folder, **settings)) as program:
        nginx = TlsNginx(program.url, folder)
        try:
            nginx.prepare()
            nginx.start()
            yield Behind(nginx, program.url)
        finally:
            nginx.close()


def test_a_browser_signs_in_and_is_told_to_come_by_tls_alone(behind: Behind) -> None:
    with behind.nginx.client(Origin=f"https://{NAME}") as browser:
        page = browser.get("/login")
        form = {"username": "admin", "password": PASSWORD, "csrf_token": csrf_token(page)}
        answer = browser.post("/login", data=form)
        assert answer.status_code == 303, answer.text
        cookies = answer.headers.get_list("set-cookie")
        assert cookies
        assert all(cookie.startswith("__Host-") and "; Secure" in cookie for cookie in cookies)
        assert "max-age=" in page.headers["strict-transport-security"]
        assert browser.get("/").status_code == 200


def test_health_and_figures_stay_inside(behind: Behind) -> None:
    with behind.nginx.client() as stranger:
        assert {stranger.get(path).status_code for path in ("/metrics", "/readyz")} == {404}
    assert {httpx.get(behind.direct + path).status_code for path in ("/metrics", "/readyz")} == {200}


def test_nobody_takes_another_address_by_saying_so(behind: Behind) -> None:
    answers = []
    for number in range(6):
        with behind.nginx.client(**{"X-Forwarded-For": f"198.18.7.{number}"}) as stranger:
            form = {
                "username": f"nobody-{number}",
                "password": "wrong",
                "csrf_token": csrf_token(stranger.get("/login")),
            }
            answers.append(stranger.post("/login", data=form).status_code)
    assert answers.index(429) == 5
