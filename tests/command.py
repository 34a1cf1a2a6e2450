"""``otp-service`` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = str(Path(sys.executable).with_name("otp-service"))
PATIENCE = 30.0


@dataclass(frozen=True)
class Command:
    """A command at work; what it writes is in files, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    directory: Path

    @property
    def stdout(self) -> str:
        return (self.directory / "stdout").read_text("utf-8")

    @property
    def stderr(self) -> str:
        return (self.directory / "stderr").read_text("utf-8")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Until it has written this."""
        deadline = time.monotonic() + PATIENCE
        while True:
            ended = self.process.poll() is not None
            written = self.stdout + self.stderr
            if found := re.search(pattern, written):
                return found
            assert not ended, written
            assert time.monotonic() < deadline, written
            time.sleep(0.01)

    def end(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
        return port


def environment(**more: str) -> dict[str, str]:
    """The environment without settings of ours but a port for metrics, and without a wish for colours."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OTP_") or name == "OTP_REDIS_SERVER"
    }
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        kept.pop(name, None)
    return {"OTP_METRICS_LISTEN": f"127.0.0.1:{free_port()}"} | kept | more


@contextmanager
def started(*arguments: str, **environ: str) -> Iterator[Command]:
    """A command, told to stop at the end: killed, it would leave its own processes behind."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        with (
            (path / "stdout").open("wb") as out,
            (path / "stderr").open("wb") as err,
            subprocess.Popen(
                [PROGRAM, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment(**environ),
            ) as process,
        ):
            try:
                yield Command(process, path)
            finally:
                process.terminate()
                try:
                    process.wait(PATIENCE)
                finally:
                    process.kill()


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A command until it ends by itself."""
    return subprocess.run(
        [PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(**environ),
    )


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
