"""`otp-service demo`: the whole story in one process."""

from __future__ import annotations

import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from otp_service.cli import app
from tests import command

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


@pytest.fixture(scope="module")
def told() -> subprocess.CompletedProcess[str]:
    # A proxy of the environment, dead here, has no part in calls to loopback.
    return command.run("demo", HTTP_PROXY="http://127.0.0.1:1", http_proxy="http://127.0.0.1:1")


def test_it_worked(told: subprocess.CompletedProcess[str]) -> None:
    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize(
    "part",
    [
        r"smspm +unavailable +connect_failed +\d+ ms\n +console +accepted +\d+ ms\n",
        r"╭─+╮\n +│ \d{6} is your Acme code\. │\n +╰─+╯\n",
        r"\d{6}, a wrong code: pending, 4 checks left\n",
        r"\d{6}, the right one: approved\n",
        r"\d{6} once more: refused, 410 verification_closed\n",
        r" iss +http://127\.0\.0\.1:\d+\n +aud +web\n +sub +\+372\*{5}045\n +purpose +login\n",
    ],
)
def test_it_tells_each_part(told: subprocess.CompletedProcess[str], part: str) -> None:
    assert re.search(part, told.stdout)


def test_it_fits_a_screen(told: subprocess.CompletedProcess[str]) -> None:
    lines = told.stdout.splitlines()

    assert len(lines) <= 25
    assert max(map(len, lines)) <= 79


def test_a_pipe_gets_no_colours(told: subprocess.CompletedProcess[str]) -> None:
    assert "\x1b" not in told.stdout


def test_without_a_redis_it_says_so() -> None:
    ended = CliRunner().invoke(app, ["demo"], env={"OTP_REDIS_SERVER": "/nowhere"})

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr == "OTP_REDIS_SERVER is /nowhere, which is not a program that can be run.\n"


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "otp_client", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "otp_service.demo", raising=False)
    ended = CliRunner().invoke(app, ["demo"])

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr == 'The demo needs the Python client: pip install "otp-service[dev]"\n'


def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    slow = tmp_path / "redis-server"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    slow.chmod(0o755)
    with command.started("demo", OTP_REDIS_SERVER=str(slow)) as demo:
        command.wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        code = demo.end(signal.SIGINT)

        assert code != 0
        assert "Traceback" not in demo.stderr
    command.wait_until(lambda: not command.is_running(int((tmp_path / "pid").read_text())))
