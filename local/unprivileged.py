"""How to run a server that refuses to run as root, or behaves badly when it does.

As an ordinary user there is nothing to do. As root, a user namespace gives the server an ordinary
id while it still owns root's files, so a clone below a root-only home works. Where namespaces are
not permitted (most containers) it becomes a real unprivileged user that may look past file modes.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.errors import StackError


@dataclass(frozen=True)
class Launcher:
    """A command prefix, and who must own the files of what it starts."""

    prefix: list[str]
    uid: int
    gid: int

    def command(self, *arguments: str | Path) -> list[str]:
        """The command line that runs `arguments` without root's rights."""
        return [*self.prefix, *map(str, arguments)]

    @property
    def changes_user(self) -> bool:
        """Whether the processes belong to another user, into whose processes ours may not look."""
        return self.uid != os.geteuid()

    @property
    def outer(self) -> list[str]:
        """The prefix, if what looks for leftovers of such a process has to be that user, too."""
        return self.prefix if self.changes_user else []

    @property
    def inner(self) -> list[str]:
        """The prefix, if it may come last: from inside a namespace one cannot look into others."""
        return [] if self.changes_user else self.prefix

    def own(self, folder: Path) -> None:
        """Give a data folder to the user that the server runs as, if it is not that user's."""
        if os.geteuid() != 0 or folder.stat().st_uid == self.uid:
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def find_launcher(home: Path, postgres: Path) -> Launcher:
    """The first way to run without root's rights in which PostgreSQL can work below `home`.

    Raises StackError when there is none.
    """
    if os.geteuid() != 0:
        return Launcher([], os.getuid(), os.getgid())
    for launcher in _candidates():
        if _works(launcher, home, postgres):
            return launcher
    raise StackError(
        "PostgreSQL does not run as root, and here root may neither make a user namespace nor "
        f"become an unprivileged user that can use {home}: run this as an ordinary user"
    )


def _candidates() -> list[Launcher]:
    account = _ordinary_account()
    uid, gid = account.pw_uid, account.pw_gid
    become = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    # PostgreSQL asks access(2) about its programs, which disregards the right to look past file
    # modes unless no_setuid_fixup is set.
    see_all = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    see_all.append("--securebits=+no_setuid_fixup")
    return [
        # initdb looks its user up, so the id inside has to be one with a name.
        Launcher(["unshare", "--user", f"--map-user={uid}", f"--map-group={gid}"], 0, 0),
        Launcher([*become, *see_all], uid, gid),
    ]


def _ordinary_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        return next(account for account in pwd.getpwall() if account.pw_uid != 0)


def _works(launcher: Launcher, home: Path, postgres: Path) -> bool:
    """Whether PostgreSQL finds itself and reads a configuration that was written this way."""
    scratch = home / "probe"
    scratch.mkdir(exist_ok=True)
    os.chown(scratch, launcher.uid, launcher.gid)
    script = 'touch "$1/postgresql.conf" && exec "$0" -C port -D "$1"'
    command = launcher.command("sh", "-c", script, postgres, scratch)
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=20)
        return done.returncode == 0
    except OSError:
        return False
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
