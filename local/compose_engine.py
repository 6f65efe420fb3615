"""Docker Compose as the commands around it need it: run it, ask it, stream through it."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from local import compose_secrets
from local.errors import StackError

REPOSITORY = Path(__file__).resolve().parent.parent
ENVIRONMENT = REPOSITORY / ".env"
_CHUNK = 1 << 20
# For a question, or a change of one thing: Docker gives a container up to 30 s to end.
_SHORT_SECONDS = 60.0
# A copy begins with a checkpoint, which a busy disk takes a while for.
_SILENT_SECONDS = 120.0
_END_SECONDS = 15.0


def run(*arguments: str, seconds: float | None = None) -> int:
    """Run Compose with its output on ours; its exit status.

    Raises StackError if it takes longer than `seconds`.
    """
    sys.stdout.flush()
    command = ["docker", "compose", *arguments]
    try:
        return subprocess.run(command, cwd=REPOSITORY, check=False, timeout=seconds).returncode
    except FileNotFoundError:
        raise StackError("docker is not installed") from None
    except subprocess.TimeoutExpired:
        raise _silent(command, seconds) from None


def check(complaint: str, *arguments: str, seconds: float | None = None) -> None:
    """Run Compose; raises StackError with the complaint if it fails, as `run` does otherwise."""
    if run(*arguments, seconds=seconds):
        raise StackError(complaint)


def output(*command: str, given: str | None = None, seconds: float = _SHORT_SECONDS) -> str:
    """What a command prints. Raises StackError if it fails, or takes longer than `seconds`."""
    source = subprocess.DEVNULL if given is None else subprocess.PIPE
    with _started(command, stdin=source, stdout=subprocess.PIPE) as running:
        try:
            text, _ = running.communicate(
                None if given is None else given.encode(), timeout=seconds
            )
        except subprocess.TimeoutExpired:
            raise _silent(command, seconds) from None
    if running.returncode:
        raise StackError(f"`{' '.join(command[:6])}` ended with {running.returncode}")
    return str(text.decode().strip())


def succeeds(*command: str) -> bool:
    """Whether a command ends with 0 in time, whatever it says."""
    with _started(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            return running.wait(_SHORT_SECONDS) == 0
        except subprocess.TimeoutExpired:
            return False


def stream_out(file: Path, progress: Callable[[int], None], *arguments: str) -> None:
    """Write what a container prints to a file of its own (readable by its owner only).

    Args:
        progress: told after each piece how many bytes there are.

    Raises StackError if the command fails, says nothing for long, or the file cannot be written.
    """
    command = ("docker", "compose", *arguments)
    with _private(file) as target, _started(command, stdout=subprocess.PIPE) as running:
        assert running.stdout
        try:
            while piece := _next_piece(running.stdout, command):
                target.write(piece)
                progress(target.tell())
            target.flush()
        except OSError as error:
            raise StackError(f"{file} cannot be written: {error.strerror}") from None
        try:
            running.wait(_SHORT_SECONDS)
        except subprocess.TimeoutExpired:
            raise _silent(command, _SHORT_SECONDS) from None
    if running.returncode:
        raise StackError(
            f"{file.name} could not be copied: Compose ended with {running.returncode}"
        )


def stream_in(file: Path, *arguments: str) -> None:
    """Give a file to a container's command. Raises StackError if that fails."""
    command = ("docker", "compose", *arguments)
    with file.open("rb") as source, _started(command, stdin=subprocess.PIPE) as running:
        assert running.stdin
        try:
            shutil.copyfileobj(source, running.stdin, _CHUNK)
            running.stdin.close()
        except BrokenPipeError:
            pass  # it ended before its input did, and its exit status tells why
        # What it makes of its input takes as long as the copy is large.
        running.wait()
    if running.returncode:
        raise StackError(f"{file.name} could not be put back: it was refused")


@contextmanager
def _started(
    command: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A command that is ended with the block, its plugins and their children too."""
    # A Ctrl-C that came between its start and the block would leave it to itself: it has to wait.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        running = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            bufsize=0,
            # A Ctrl-C is for us to answer, by ending it.
            start_new_session=True,
        )
    except FileNotFoundError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise StackError("docker is not installed") from None
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield running
    finally:
        _end(running)
        for stream in (running.stdin, running.stdout):
            if stream:
                with suppress(BrokenPipeError):
                    stream.close()


def _end(running: subprocess.Popen[bytes]) -> None:
    """End a command that has not ended: Compose takes what it had started along."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if running.poll() is not None:
            return
        os.killpg(running.pid, number)
        with suppress(subprocess.TimeoutExpired):
            running.wait(_END_SECONDS)


def _next_piece(stream: IO[bytes], command: Sequence[str]) -> bytes:
    if not select.select([stream], [], [], _SILENT_SECONDS)[0]:
        raise _silent(command, _SILENT_SECONDS)
    return stream.read(_CHUNK)


def _silent(command: Sequence[str], seconds: float | None) -> StackError:
    return StackError(f"`{' '.join(command[:6])}` did not answer for {seconds:.0f} s; it was ended")


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
    """Complete .env. Raises StackError if what was lost is what the data was made with."""
    text = ENVIRONMENT.read_text("utf-8") if ENVIRONMENT.exists() else ""
    complete = compose_secrets.completed(text)
    if complete == text:
        ENVIRONMENT.chmod(0o600)
        return
    scratch = ENVIRONMENT.with_name(".env.made")
    compose_secrets.write_private(scratch, complete)
    try:
        lost = [name for name in compose_secrets.missing(text) if name in compose_secrets.OF_ROLES]
        if lost and (volumes := existing_volumes(("--env-file", str(scratch)))):
            raise _lost(lost if text else [], volumes)
        scratch.replace(ENVIRONMENT)
    finally:
        scratch.unlink(missing_ok=True)
    print(f"Made up the secrets that were missing in {ENVIRONMENT}", flush=True)


def _lost(names: list[str], volumes: list[str]) -> StackError:
    if names:
        return StackError(
            f"{', '.join(names)} in {ENVIRONMENT} is missing or empty, but the databases have it:"
            " put it back, or choose another as Secrets in docs/compose.md says"
        )
    return StackError(
        f"{ENVIRONMENT} is missing, but the data made with it is there: put the file back,"
        f" or start afresh with `docker volume rm {' '.join(volumes)}`"
    )


def require_environment(*, complete: bool = True) -> None:
    """Raises StackError unless there is the .env that what runs was made with.

    Args:
        complete: it has to have every secret, too.
    """
    if not ENVIRONMENT.exists():
        raise StackError(f"{ENVIRONMENT} is missing: put it back, or make up was never run here")
    if complete and (missing := compose_secrets.missing(ENVIRONMENT.read_text("utf-8"))):
        raise StackError(
            f"{', '.join(missing)} in {ENVIRONMENT} is missing or empty: put it back, or let"
            " `make up` see what can be made up"
        )


def _private(file: Path) -> Any:
    file.touch(mode=0o600)
    return file.open("wb")
