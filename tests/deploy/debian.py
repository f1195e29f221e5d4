"""Does what docs/debian.md says, word by word, on a Debian of its own, and looks whether that gives a running installation.

    sudo .venv/bin/python -m tests.deploy.debian

First come the steps that need the network, then a network namespace with nothing in it but this machine, the broker that the page
takes for granted, and what the page installs. It prints what each box of the page took.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
from kafka.admin import NewTopic

from tests.deploy.files import ROOT
from tests.deploy.machine import Machine
from tests.program import csrf_token
from tests.servers import HOST, KafkaServer

PAGE = ROOT / "docs" / "debian.md"
_PATIENCE_SECONDS = 600.0
_WHY = """
journalctl --unit 'nebuloviz*' --output cat --no-pager --lines 80
curl --silent 127.0.0.1:8050/readyz 127.0.0.1:9101/readyz || true
"""
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
#: What the page takes for granted: names that lead somewhere, and a certificate.
_AROUND = """
echo '127.0.0.1 localhost sales.example.com kafka.example.com' >/etc/hosts
folder=/etc/letsencrypt/live/sales.example.com
mkdir -p $folder
openssl req -x509 -quiet -newkey rsa:2048 -nodes -days 60 -subj /CN=sales.example.com \\
    -addext subjectAltName=DNS:sales.example.com -keyout $folder/privkey.pem -out $folder/fullchain.pem
cp $folder/fullchain.pem /usr/local/share/ca-certificates/sales.crt
update-ca-certificates >/dev/null
"""


def boxes(text: str) -> Iterator[tuple[str, str]]:
    """Each box with the heading that it stands under."""
    heading = ""
    for found in re.finditer(r"^## ([^\n]+)$|^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        heading = found[1] or heading
        if found[2]:
            yield heading, found[2]


def main() -> None:
    machine = Machine("trixie")
    try:
        with _timed("a Debian with systemd"):
            machine.prepare()
            _clone(machine.upper / "opt" / "nebuloviz")
        [(heading, install), *others] = boxes(PAGE.read_text(encoding="utf-8"))
        with _timed(heading):
            machine.install(install)
        machine.install(_AROUND)
        _leave_the_network()
        with closing(KafkaServer()) as kafka:
            with _timed("its start, and that of a broker"):
                _prepare(kafka)
                machine.start()
            follow(machine, others)
    finally:
        machine.close()


def follow(machine: Machine, steps: list[tuple[str, str]]) -> None:
    """Carry out the page's boxes one after the other, and look after each of them whether it holds what the page says."""
    for heading, box in steps:
        if heading == "TLS":
            _save_configuration(machine)
        with _timed(f"{heading}: {box.splitlines()[0][:60]}"):
            said = _done(machine, box)
        if "nv doctor" in box:
            assert "ok      kafka" in said, said
        if "nv produce" in box:
            _seen_by_a_browser(machine)
            _back_after_a_kill(machine)
        if "systemctl stop" in box.splitlines()[-1]:
            assert "failed" not in machine.sh(
                "systemctl show --property=Result,ActiveState nebuloviz nebuloviz-ingest@1"
            )
    _seen_by_a_browser(machine)


def _done(machine: Machine, box: str) -> str:
    try:
        return machine.sh(box)
    except RuntimeError:
        sys.stdout.write(machine.sh(_WHY))
        raise


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    sys.stdout.write(f"{time.monotonic() - began:6.1f} s  {what}\n")
    sys.stdout.flush()


def _clone(folder: Path) -> None:
    """What a clone of this repository has, as it stands in the working tree."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def _leave_the_network() -> None:
    """From here on this thread and what it starts are alone with each other, on the ports that the page names."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace of its own")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _prepare(kafka: KafkaServer) -> None:
    """As the page takes it for granted."""
    kafka.port = 9092
    kafka.prepare()
    kafka.start()
    with kafka.admin() as admin:
        admin.create_topics([NewTopic("sales", num_partitions=6, replication_factor=1)], wait_for_metadata=True)


def _save_configuration(machine: Machine) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    [server] = re.findall(r"^```nginx\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    machine.sh(f"cat >/etc/nginx/conf.d/nebuloviz.conf <<'END'\n{server}END")


def _seen_by_a_browser(machine: Machine) -> None:
    """Signed in through nginx and TLS, as the page says, one sees that 100 sales have come; health and figures are not seen."""
    password = machine.sh("sed -n 's/^NEBULOVIZ_ADMIN_PASSWORD=//p' /etc/nebuloviz/.env").strip()
    named = {"Host": "sales.example.com"}
    with httpx.Client(base_url=f"https://{HOST}", verify=False, headers=named, timeout=60) as browser:  # noqa: S501 - its own
        form = {"username": "admin", "password": password, "csrf_token": csrf_token(_patiently(browser, "/login"))}
        answer = browser.post("/login", data=form)
        assert answer.status_code == 303, answer.text
        assert browser.get("/").status_code == 200
        assert {browser.get(path).status_code for path in ("/metrics", "/readyz")} == {404}
    stored = "SELECT sum(n_ok) FROM ingest_offset"
    until = time.monotonic() + _PATIENCE_SECONDS
    while machine.sh(f"runuser -u postgres -- psql -tA nebuloviz -c '{stored}'").strip() != "100":
        assert time.monotonic() < until, machine.sh("journalctl --unit 'nebuloviz*' --output cat | tail -40")
        time.sleep(0.5)


def _patiently(browser: httpx.Client, path: str) -> httpx.Response:
    """nginx answers 502 until the program has come."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while (answer := browser.get(path)).status_code != 200:
        assert time.monotonic() < until, answer.text
        time.sleep(0.5)
    return answer


def _back_after_a_kill(machine: Machine) -> None:
    """systemd starts what was killed anew."""
    machine.sh("systemctl kill --signal=KILL nebuloviz nebuloviz-ingest@1")
    machine.sh(
        "curl -sf --retry 60 --retry-delay 1 --retry-all-errors -o /dev/null 127.0.0.1:8050/readyz 127.0.0.1:9101/readyz"
    )


if __name__ == "__main__":
    main()
