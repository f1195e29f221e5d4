"""Carries out a Dockerfile without a container engine: each stage is a stack of folders, each RUN a command in a root of its own.

The root is Debian's, made by debootstrap once and kept in the user's cache; it has the packages of the base that the Dockerfile
names. Overlays, namespaces and other users' rights need root.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.deploy.dockerfile import RUNTIME, Stage, Step, parse
from tests.servers.base import MissingServerError, find_program
from tests.servers.kafka import cache_folder

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")  # an engine's host may trust more than Debian does
_ENGINE_ENVIRONMENT = {"HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def debian_root(suite: str) -> Path:
    """A bare Debian of that name, as its official images have it."""
    root = cache_folder() / f"debian-{suite}"
    if not root.is_dir():
        debootstrap = find_program("debootstrap")
        root.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix="debian-part-", dir=root.parent))
        part.chmod(0o755)
        command = [str(debootstrap), "--variant=minbase", suite, str(part)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(part)
            message = f"debootstrap failed: {done.stdout[-2000:]}{done.stderr[-2000:]}"
            raise MissingServerError(message)
        try:
            part.rename(root)
        except OSError:  # another run was faster
            shutil.rmtree(part)
    return root


@dataclass(frozen=True)
class Image:
    """What a stage has come to: its layers, the newest first, and how a container of it runs."""

    layers: tuple[Path, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    runtime: Mapping[str, Step] = field(default_factory=dict)

    def find(self, path: str) -> Path:
        """Where the newest layer with it has `path`."""
        return next(layer / path.lstrip("/") for layer in self.layers if (layer / path.lstrip("/")).exists())

    def told(self, word: str) -> str:
        return self.runtime[word].text if word in self.runtime else ""

    @property
    def entry(self) -> list[str]:
        return self.runtime["ENTRYPOINT"].words

    @property
    def health_check(self) -> list[str]:
        return Step("", (), self.told("HEALTHCHECK").removeprefix("CMD").strip()).words

    def command(
        self, words: Sequence[str], mounts: Mapping[Path, str], environment: Mapping[str, str], folder: Path
    ) -> list[str]:
        """The command line that runs `words` in this image as it is meant to be run: its user, and nothing to write to.

        `mounts` are folders of this machine at paths of the image; `folder` is for the mount points.
        """
        everything = {**self.environment, **environment}
        (folder / "root").mkdir(parents=True, exist_ok=True)
        lower = ":".join(map(str, self.layers))
        mount = f"mount -t overlay overlay -o ro,lowerdir={lower} {folder}/root"
        return _inside(folder / "root", mount, mounts, everything, words, self.told("USER"), self.told("WORKDIR"))


@dataclass
class Builder:
    """Builds the stages of one Dockerfile below `folder`, from the files of `context`."""

    folder: Path
    context: Path
    images: dict[str, Image] = field(default_factory=dict)

    def build(self, dockerfile: Path) -> Image:
        """The last stage."""
        image = Image(())
        for number, stage in enumerate(parse(dockerfile)):
            image = self.images[stage.name] = self._stage(number, stage)
        return image

    def _stage(self, number: int, stage: Stage) -> Image:
        below = self.images.get(stage.base) or Image((debian_root(suite_of(stage.base)),))
        layer = self.folder / str(number)
        layer.mkdir(parents=True)
        image = replace(below, layers=(layer, *below.layers))
        for step in stage.steps:
            image = self._carry_out(step, image)
        return image

    def _carry_out(self, step: Step, image: Image) -> Image:
        if step.word == "ENV":
            new = dict(word.partition("=")[::2] for word in step.words)
            return replace(image, environment={**image.environment, **new})
        if step.word in RUNTIME:
            return replace(image, runtime={**image.runtime, step.word: step})
        if step.word == "COPY":
            self._copy(step, image)
        else:
            self._run(step, image)
        return image

    def _copy(self, step: Step, image: Image) -> None:
        *sources, goal = step.words
        target = image.layers[0] / (Path(image.told("WORKDIR") or "/") / goal).relative_to("/")
        for source in sources:
            found = self.images[step.option("from")].find(source) if step.option("from") else self.context / source
            if found.is_dir():
                ignored = None if step.option("from") else shutil.ignore_patterns("__pycache__", "*.mo")
                shutil.copytree(found, target, symlinks=True, dirs_exist_ok=True, ignore=ignored)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, target)

    def _run(self, step: Step, image: Image) -> None:
        work, root = self.folder / "work", self.folder / "root"
        for path in (work, root):
            path.mkdir(exist_ok=True)
        top, *lower = image.layers
        mount = f"mount -t overlay overlay -o lowerdir={':'.join(map(str, lower))},upperdir={top},workdir={work} {root}"
        mounts = {Path("/etc/resolv.conf"): "/etc/resolv.conf"}
        environment = {**image.environment, **_ENGINE_ENVIRONMENT}
        if CERTIFICATES.exists():
            mounts[CERTIFICATES] = "/run/engine.crt"
            environment["PIP_CERT"] = "/run/engine.crt"
        if target := dict(part.split("=") for part in step.option("mount").split(",") if part).get("target"):
            cache = cache_folder() / "image-cache" / Path(target).name
            cache.mkdir(parents=True, exist_ok=True)
            mounts[cache] = target
        workdir = image.told("WORKDIR") or "/"
        (top / workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
        words = ["/bin/sh", "-c", step.text]
        command = _inside(root, mount, mounts, environment, words, image.told("USER"), workdir)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for target in mounts.values():  # the mount points are no part of the image
            if (top / target.lstrip("/")).is_file() and target.startswith("/run/"):
                (top / target.lstrip("/")).unlink()
        if done.returncode != 0:
            message = f"RUN {step.text}\nended with {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
            raise RuntimeError(message)


def suite_of(base: str) -> str:
    """`trixie` of `debian:trixie-slim@sha256:...`."""
    name, _at, _digest = base.partition("@")
    return name.removeprefix("debian:").removesuffix("-slim")


def _inside(
    root: Path,
    mount: str,
    mounts: Mapping[Path, str],
    environment: Mapping[str, str],
    words: Sequence[str],
    user: str,
    workdir: str,
) -> list[str]:
    """`words` in a root and a mount namespace of their own, which end with them. Every process on the way becomes the next one."""
    places = [
        f"mount --bind /proc {root}/proc",
        f"mount --rbind /dev {root}/dev",
        f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp",
    ]
    for source, target in mounts.items():
        if source.is_dir():
            places.append(f"mkdir -p {root}{target}")
        else:
            places.append(f"[ -e {root}{target} ] || : > {root}{target}")
        places.append(f"mount --bind {source} {root}{target}")
    variables = [f"{name}={value}" for name, value in environment.items()]
    run = f"cd {workdir or '/'} && exec {shlex.join(words)}"
    chroot = [
        "chroot",
        *([f"--userspec={user}"] if user else []),
        str(root),
        "/usr/bin/env",
        "-i",
        *variables,
        "/bin/sh",
        "-c",
        run,
    ]
    script = "\n".join(["set -e", mount, *places, f"exec {shlex.join(chroot)}"])
    return ["unshare", "--mount", "/bin/sh", "-c", script]
