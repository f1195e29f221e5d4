"""`./nv`: a virtual environment made once, packages installed when their list changes, everything handed on as it was given."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = "import os, sys; print(sys.argv[1:], os.getcwd())\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose program prints how it was called, and needs no package."""
    clone = tmp_path / "a clone"
    (clone / "nebuloviz").mkdir(parents=True)
    (clone / "nebuloviz" / "__main__.py").write_text(PROGRAM)
    (clone / "requirements.txt").write_text("# nothing\n")
    (clone / "requirements-dev.txt").write_text("# nothing\n")
    shutil.copy(ROOT / "nv", clone)
    return clone


def run(nv: Path, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Call nv with only these variables."""
    python = Path(sys.executable).parent
    environment = {"PATH": f"{python}{os.pathsep}{os.defpath}"} | environment
    return subprocess.run([nv, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _executable(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o100755 << 16
    return entry


def wheel_of_uv(folder: Path, version: str) -> None:
    """A package that says how its `uv` was called, and installs nothing."""
    about = f"uv-{version}.dist-info"
    with zipfile.ZipFile(folder / f"uv-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            _executable(f"uv-{version}.data/scripts/uv"), '#!/bin/sh\nprintf "%s " "$@" > "$(dirname "$0")/called"\n'
        )
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: uv\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


def test_installs_by_the_uv_of_the_list(clone: Path, tmp_path: Path) -> None:
    (clone / "requirements-dev.txt").write_text("uv==7.8.9\n    # via -r requirements-dev.in\n")
    wheel_of_uv(tmp_path, "7.8.9")
    done = run(clone / "nv", "serve", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    called = (clone / ".venv" / "bin" / "called").read_text()
    assert called.endswith(f"-r {clone / 'requirements.txt'} ")
    assert "--system-certs" in called


def test_installs_by_pip_where_there_is_no_uv(clone: Path, tmp_path: Path) -> None:
    (clone / "requirements-dev.txt").write_text("uv==7.8.9\n")
    done = run(clone / "nv", "serve", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr


def test_starts_from_anywhere_without_a_home_and_installs_once(clone: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(clone / "nv")
    first = run(link, "serve", "--port", "8 0", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stdout == f"['serve', '--port', '8 0'] {tmp_path}\n"
    assert "creating a virtual environment" in first.stderr
    assert "from requirements.txt" in first.stderr

    assert run(clone / "nv", "serve", HOME="").stderr == ""

    (clone / "requirements.txt").write_text("# still nothing\n")
    third = run(clone / "nv", "serve")
    assert "from requirements.txt" in third.stderr
    assert "creating" not in third.stderr


def test_uses_the_active_environment(clone: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "mine", symlinks=True)  # without pip: one outside will do
    done = run(clone / "nv", "doctor", cwd=tmp_path, VIRTUAL_ENV=str(tmp_path / "mine"))
    assert done.stdout == f"['doctor'] {tmp_path}\n", done.stderr
    assert not (clone / ".venv").exists()


def test_makes_an_environment_where_debian_has_split_off_ensurepip(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError('install python3-venv')")
    done = run(clone / "nv", "serve", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("['serve']")


def test_says_what_to_install_where_no_environment_can_be_made(clone: Path, tmp_path: Path) -> None:
    for module in ("ensurepip", "pip", "virtualenv"):
        (tmp_path / f"{module}.py").write_text("raise ImportError('not installed')")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("cat", "cksum", "dirname", "readlink", "rm", "sh"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    (tools / "python3").symlink_to(sys.executable)
    done = run(clone / "nv", "serve", PATH=str(tools), PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr


def test_says_that_python_is_too_old(clone: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("python", "python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        script(tools / name, '[ "$1" = --version ] && echo "Python 3.9.2" || exit 1')
    done = run(clone / "nv", "serve", PATH=f"{tools}{os.pathsep}{os.defpath}")
    assert done.returncode == 1
    assert "needs Python 3.11 or newer, and found Python 3.9.2" in done.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_explains_itself(arguments: tuple[str, ...], clone: Path) -> None:
    done = run(clone / "nv", *arguments)
    assert done.returncode == 0
    assert "./nv serve" in done.stdout
    assert "./nv test" in done.stdout
