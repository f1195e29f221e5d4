"""A Debian that boots systemd, in namespaces of its own: as near to an operator's machine as one gets without a second one."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import ClassVar

from tests.deploy.image import CERTIFICATES, debian_root
from tests.servers.base import Server
from tests.servers.kafka import cache_folder

_ENVIRONMENT = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"]
#: $1 is the machine's folder; its root is an overlay over the bare Debian, so that what is written survives a boot.
_ROOT = """
mount --make-rprivate /
mount -t overlay overlay -o lowerdir=$2,upperdir=$1/upper,workdir=$1/work $1/root
mount -t proc proc $1/root/proc
mount -t tmpfs -o mode=1777 tmpfs $1/root/tmp
"""
_INSTALLING = """
mount --rbind /dev $1/root/dev
touch $1/root/etc/resolv.conf && mount --bind /etc/resolv.conf $1/root/etc/resolv.conf
mkdir -p $1/root/root/.cache && mount --bind $3 $1/root/root/.cache
touch $1/root/run/host.crt && [ ! -e $4 ] || mount --bind $4 $1/root/run/host.crt
folder=$1 && shift 4 && exec chroot $folder/root "$@"
"""
_CGROUP = """
mount -t cgroup2 cgroup2 $1/cgroup
group=$1/cgroup/$(basename $1) && mkdir $group && echo $$ >$group/cgroup.procs
exec unshare --mount --uts --ipc --pid --cgroup --fork --kill-child sh -e -c "$3" sh $1 $2
"""
_BOOTING = """
hostname nebuloviz
mount -t sysfs -o ro sysfs $1/root/sys
mount -t tmpfs tmpfs $1/root/sys/fs && mkdir $1/root/sys/fs/cgroup
mount -t cgroup2 cgroup2 $1/root/sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs $1/root/run
mount -t tmpfs -o mode=755 tmpfs $1/root/dev
cd $1/root/dev && mkdir pts shm
for device in null zero full random urandom tty; do touch $device && mount --bind /dev/$device $device; done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts pts
mount -t tmpfs -o mode=1777 tmpfs shm
ln -s pts/ptmx ptmx && ln -s /proc/self/fd fd
for number in 0 1 2; do ln -s /proc/self/fd/$number $number; done
mv 0 stdin && mv 1 stdout && mv 2 stderr
exec chroot $1/root env -i container=test /sbin/init --log-target=console
"""
_REMOVING = """
mount -t cgroup2 cgroup2 $1/cgroup
group=$1/cgroup/$(basename $1)
for _try in $(seq 50); do
    [ -d $group ] || exit 0
    find $group -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2  # what was killed may not have gone yet
done
exit 1
"""
_NO_SERVICES = "#!/bin/sh\nexit 101\n"


class Machine(Server):
    """`install` works on it while it is off, with the network; `sh` while it is on, without, and in the caller's network namespace.

    Needs root.
    """

    name: ClassVar[str] = "machine"
    stop_signal: ClassVar[signal.Signals] = signal.SIGKILL  # its first process ends with it, and all others with that

    def __init__(self, suite: str) -> None:
        super().__init__()
        self._below = debian_root(suite)
        for each in ("upper", "work", "root", "cgroup"):
            (self.folder / each).mkdir()

    @property
    def url(self) -> str:
        return str(self.folder)

    @property
    def upper(self) -> Path:
        """What its files are, beside those of the bare Debian."""
        return self.folder / "upper"

    def prepare(self) -> None:
        """Give it systemd, which a machine has and a bare Debian has not."""
        dpkg = self.upper / "etc/dpkg/dpkg.cfg.d/fast"
        dpkg.parent.mkdir(parents=True)
        dpkg.write_text("force-unsafe-io\n")  # nobody loses it to a power cut
        # A namespace of users within this one is refused to it
        everywhere = self.upper / "etc/systemd/system/service.d/here.conf"
        everywhere.parent.mkdir(parents=True)
        everywhere.write_text("[Service]\nPrivateUsers=no\n")
        policy = self.upper / "usr/sbin/policy-rc.d"
        policy.parent.mkdir(parents=True)
        policy.write_text(_NO_SERVICES)  # while it is off, nothing is started
        policy.chmod(0o755)
        self.install(
            "apt-get update -qq && apt-get install -qq --yes --no-install-recommends dbus systemd-sysv >/dev/null"
        )

    def install(self, script: str) -> str:
        cache = cache_folder() / "machine-cache"  # what was fetched once is not fetched again
        cache.mkdir(parents=True, exist_ok=True)
        trust = ["PIP_CERT=/run/host.crt", "SSL_CERT_FILE=/run/host.crt"] if CERTIFICATES.exists() else []
        words = [str(cache), str(CERTIFICATES), *_ENVIRONMENT, *trust, "sh", "-e", "-c", script]
        return _output("unshare", "--mount", "sh", "-e", "-c", _ROOT + _INSTALLING, "sh", *self._places(), *words)

    def command(self) -> list[str]:
        (self.upper / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
        return ["unshare", "--mount", "sh", "-e", "-c", _CGROUP, "sh", *self._places(), _ROOT + _BOOTING]

    def check(self) -> None:
        self.sh("systemctl is-active --quiet multi-user.target")

    def sh(self, script: str) -> str:
        """What it prints.

        Raises:
            RuntimeError: it failed; the message has what it said.
        """
        [first] = subprocess.run(
            ["pgrep", "--parent", str(self.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        namespaces = ["--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd"]
        return _output("nsenter", "--target", first, *namespaces, *_ENVIRONMENT, "sh", "-e", "-c", script)

    def close(self) -> None:
        """End it, and leave no control group behind."""
        self.end(self.stop_signal)
        _output("unshare", "--mount", "sh", "-c", _REMOVING, "sh", *self._places())
        super().close()

    def _places(self) -> list[str]:
        return [str(self.folder), str(self._below)]


def _output(*command: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        message = f"{command[-1]}\nended with {done.returncode}:\n{done.stdout[-4000:]}"
        raise RuntimeError(message)
    return done.stdout
