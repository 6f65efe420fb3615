"""Makes .venv and installs a lock into it; run by the Makefile with the system's own Python.

`python3 local/install.py requirements/local.txt [more ...]`: the last lock named is installed, the
ones before it are parts of it. A lock that was installed already, unchanged, takes no time.
Only the standard library: nothing is installed yet.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
VENV = REPOSITORY / ".venv"
PYTHON = VENV / "bin" / "python"


def main(locks: list[Path]) -> int:
    """Install, unless the stamps say that there is nothing to do."""
    wanted = {lock.stem: _digest(lock) for lock in locks}
    usable = _venv_is_usable()
    last = locks[-1].stem
    if usable and _stamp(last).exists() and _stamp(last).read_text() == wanted[last]:
        return 0
    began = time.monotonic()
    try:
        if not usable:
            _make_venv()
        _install(locks[-1])
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd[:5]))
        print(
            f"error: install: {command} ... ended with {error.returncode}",
            file=sys.stderr,
        )
        return 1
    for name, digest in wanted.items():
        _stamp(name).write_text(digest)
    print(
        f"Installed {locks[-1].name} into .venv in {time.monotonic() - began:.1f} s",
        flush=True,
    )
    return 0


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _stamp(name: str) -> Path:
    return VENV / f".installed-{name}"


def _venv_is_usable() -> bool:
    """False as well for an environment whose Python has gone or changed its version."""
    code = "import sys; print(sys.version_info[:2])"
    try:
        done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.stdout.strip() == str(sys.version_info[:2])


def _make_venv() -> None:
    print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    # The system's pip does as well, and Debian ships the copy of it for venvs separately.
    options = ["--without-pip"] if find_spec("pip") else []
    subprocess.run([sys.executable, "-m", "venv", *options, VENV], check=True)


def _install(lock: Path) -> None:
    pip = (
        [sys.executable, "-m", "pip", "--python", PYTHON]
        if find_spec("pip")
        else [PYTHON, "-m", "pip"]
    )
    # The lock names everything, so there is nothing to resolve. Bytecode is made by the first use.
    options = [
        "--require-hashes",
        "--no-deps",
        "--no-compile",
        "--disable-pip-version-check",
    ]
    command = [*map(str, pip), "install", *options, "-r", str(lock)]
    log = VENV / "install.log"
    total = sum("==" in line for line in lock.read_text().splitlines())
    with (
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_environment(),
        ) as running,
        log.open("w") as output,
    ):
        for line in running.stdout or ():
            output.write(line)
            _show(line, total)
    if running.returncode:
        tail = log.read_text().splitlines()[-15:]
        print("\n    ".join([f"\nlast lines of {log}:", *tail]), file=sys.stderr)
        raise subprocess.CalledProcessError(running.returncode, command)


def _environment() -> dict[str, str]:
    """A habit of installing for the user must not lead past the virtual environment."""
    return {**os.environ, "PIP_USER": "0"}


_collected: list[str] = []


def _show(line: str, total: int) -> None:
    """Keep one line up to date on a terminal; elsewhere say something now and then."""
    word, _, rest = line.strip().partition(" ")
    if word == "Collecting":
        _collected.append(rest.partition("=")[0])
    elif word != "Installing":
        return
    done = len(_collected)
    text = f"Installing: {done}/{total} {_collected[-1] if word == 'Collecting' else 'unpacking'}"
    if sys.stdout.isatty():
        print(f"\r{text:<60}", end="\n" if word == "Installing" else "", flush=True)
    elif word == "Installing" or done % 20 == 0:
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
