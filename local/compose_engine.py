"""Docker Compose as the commands around it need it: run it, ask it, stream through it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local import compose_secrets
from local.errors import StackError

REPOSITORY = Path(__file__).resolve().parent.parent
ENVIRONMENT = REPOSITORY / ".env"
_CHUNK = 1 << 20


def run(*arguments: str) -> int:
    """Run Compose with its output on ours; its exit status."""
    sys.stdout.flush()
    try:
        return subprocess.run(
            ["docker", "compose", *arguments], cwd=REPOSITORY, check=False
        ).returncode
    except FileNotFoundError:
        raise StackError("docker is not installed") from None


def check(complaint: str, *arguments: str) -> None:
    """Run Compose; raises StackError with the complaint if it fails."""
    if run(*arguments):
        raise StackError(complaint)


def output(*command: str, given: str | None = None) -> str:
    """What a command prints. Raises StackError if it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            check=False,
            stdin=subprocess.DEVNULL if given is None else None,
            input=given,
            stdout=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError:
        raise StackError("docker is not installed") from None
    if done.returncode:
        raise StackError(f"`{' '.join(command[:6])}` ended with {done.returncode}")
    return done.stdout.strip()


def stream_out(file: Path, progress: Callable[[int], None], *arguments: str) -> None:
    """Write what a container prints to a file of its own (readable by its owner only).

    Args:
        progress: told after each piece how many bytes there are.

    Raises StackError if the command fails, or the file cannot be written.
    """
    command = ["docker", "compose", *arguments]
    with (
        _private(file) as target,
        subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0
        ) as running,
    ):
        assert running.stdout
        try:
            while piece := running.stdout.read(_CHUNK):
                target.write(piece)
                progress(target.tell())
            target.flush()
        except OSError as error:
            running.kill()
            raise StackError(f"{file} cannot be written: {error.strerror}") from None
    if running.returncode:
        raise StackError(
            f"{file.name} could not be copied: Compose ended with {running.returncode}"
        )


def stream_in(file: Path, *arguments: str) -> None:
    """Give a file to a container's command. Raises StackError if that fails."""
    with (
        file.open("rb") as source,
        subprocess.Popen(
            ["docker", "compose", *arguments], cwd=REPOSITORY, stdin=subprocess.PIPE
        ) as running,
    ):
        assert running.stdin
        try:
            shutil.copyfileobj(source, running.stdin, _CHUNK)
            running.stdin.close()
        except BrokenPipeError:
            pass  # it ended before its input did, and its exit status tells why
    if running.returncode:
        raise StackError(f"{file.name} could not be put back: it was refused")


def project(*options: str) -> dict[str, Any]:
    """docker-compose.yml as Compose understands it, with every variable in its place."""
    text = output("docker", "compose", *options, "config", "--format", "json")
    found: dict[str, Any] = json.loads(text)
    return found


def existing_volumes(options: tuple[str, ...] = ()) -> list[str]:
    """Names of the project's volumes that there are."""
    volumes = project(*options)["volumes"].values()
    wanted = {volume["name"] for volume in volumes}
    return sorted(wanted & set(output("docker", "volume", "ls", "--quiet").split()))


def remove_all(kind: str) -> None:
    """Remove every network, or volume, that is labelled as this project's.

    Raises StackError if one of them is still in use.
    """
    label = f"label=com.docker.compose.project={project()['name']}"
    names = output("docker", kind, "ls", "--quiet", "--filter", label).split()
    if names:
        output("docker", kind, "rm", *names)


def address(port: int) -> str:
    """Where a port of the gateway is published: host:port."""
    host, _, published = output("docker", "compose", "port", "gateway", str(port)).rpartition(":")
    everywhere = host in ("0.0.0.0", "[::]", "127.0.0.1")  # noqa: S104 (as Compose says it)
    return f"{'localhost' if everywhere else host}:{published}"


def ensure_secrets() -> None:
    """Complete .env. Raises StackError if it has gone while data made with it is there."""
    text = ENVIRONMENT.read_text("utf-8") if ENVIRONMENT.exists() else ""
    complete = compose_secrets.completed(text)
    if complete == text:
        ENVIRONMENT.chmod(0o600)
        return
    scratch = ENVIRONMENT.with_name(".env.made")
    compose_secrets.write_private(scratch, complete)
    try:
        if not text and (volumes := existing_volumes(("--env-file", str(scratch)))):
            raise StackError(
                f"{ENVIRONMENT} is missing, but the data made with it is there: put the file back,"
                f" or start afresh with `docker volume rm {' '.join(volumes)}`"
            )
        scratch.replace(ENVIRONMENT)
    finally:
        scratch.unlink(missing_ok=True)
    print(f"Made up the secrets that were missing in {ENVIRONMENT}", flush=True)


def require_environment() -> None:
    """Raises StackError if there is no .env: nothing of ours can be running then."""
    if not ENVIRONMENT.exists():
        raise StackError(f"{ENVIRONMENT} is missing: put it back, or make up was never run here")


def _private(file: Path) -> Any:
    file.touch(mode=0o600)
    return file.open("wb")
