"""What ships beside the code: the image, the compose file and the page on how to run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otp_service.doctor.redis import FLOORS
from otp_service.reload import FIXED
from tests import command

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text("utf-8")
COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
README = (ROOT / "deploy/README.md").read_text("utf-8")


def checked_by(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A tool's verdict; skipped where it is missing, save in CI."""
    program = shutil.which(tool, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        missing = f"no {tool} (pip install '.[ci]')"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    return subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def services() -> dict[str, str]:
    """The text of each service of the compose file."""
    part = COMPOSE.partition("\nservices:\n")[2].partition("\nnetworks:\n")[0]
    _, *parts = re.split(r"(?m)^  (\w+):\n", part)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def options(command_line: str) -> Sequence[str]:
    found = re.search(r'(?:CMD|command:) \["serve", (.*)\]', command_line)
    assert found
    return [word.strip('" ') for word in found[1].split(",")]


def test_the_compose_file_is_one() -> None:
    ended = checked_by("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")

    assert ended.returncode == 0, ended.stdout


def test_the_dockerfile_has_no_known_flaw() -> None:
    ended = checked_by("hadolint", "deploy/Dockerfile")

    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("service", ["otp", "valkey"])
@pytest.mark.parametrize(
    "line",
    [
        "read_only: true",
        "cap_drop: [ALL]",
        'security_opt: ["no-new-privileges:true"]',
        "healthcheck:",
        "mem_limit:",
        "pids_limit:",
    ],
)
def test_each_service_is_held_back(service: str, line: str) -> None:
    assert f"\n    {line}" in services()[service]


def test_nothing_is_published_but_on_loopback() -> None:
    published = re.findall(r"ports: (.*)", COMPOSE)
    assert published == ['["127.0.0.1:8000:8000", "127.0.0.1:9464:9464"]']


def test_the_password_is_in_no_file_but_a_secret() -> None:
    assert "redis://" not in COMPOSE
    assert "requirepass" not in COMPOSE
    assert set(re.findall(r"(?m)^    file: (.*/)", COMPOSE)) == {"./deploy/secrets/"}


def test_git_and_the_image_leave_the_secrets_out() -> None:
    assert "secrets/" in (ROOT / "deploy/.gitignore").read_text("utf-8").splitlines()
    sent = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert sent[1] == "*"
    assert not [line for line in sent if line.startswith("!deploy/") and line != "!deploy/healthcheck.py"]


def test_the_image_gets_all_that_it_copies() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] == "!"}
    copied = {
        source for words in re.findall(r"(?m)^COPY (?!--)(.*)$", DOCKERFILE) for source in words.split()[:-1]
    }

    assert copied == sent
    assert [path for path in copied if not (ROOT / path).exists()] == []


def test_the_image_installs_the_lock_file_as_it_stands_and_runs_as_nobody() -> None:
    syncs = re.findall(r"uv sync .*", DOCKERFILE)

    assert all("--frozen --no-dev" in each for each in syncs)
    assert re.findall(r"(?m)^USER (.*)$", DOCKERFILE) == ["10001:10001"]


def test_every_base_is_pinned_by_a_tag() -> None:
    bases = re.findall(r"(?m)^FROM (\S+)", DOCKERFILE) + re.findall(r"image: (\S+)", COMPOSE)

    assert [base for base in bases if not re.search(r":\d+\.\d+", base)] == []


@pytest.mark.parametrize("text", [DOCKERFILE, COMPOSE], ids=["Dockerfile", "compose"])
def test_it_is_started_with_options_that_it_has(text: str) -> None:
    known = command.run("serve", "--help", COLUMNS="200").stdout

    assert [option for option in options(text) if option.startswith("--") and option not in known] == []


def test_the_page_names_what_takes_a_restart_and_the_oldest_servers() -> None:
    assert [name for name in FIXED if f"`{name}`" not in README] == []
    oldest = {name: ".".join(map(str, floor)) for name, floor in FLOORS.items()}
    assert f"Redis {oldest['redis']} or Valkey {oldest['valkey']} and later" in README


def test_metrics_are_served_where_the_published_port_leads() -> None:
    assert "OTP_METRICS_LISTEN: 0.0.0.0:9464" in services()["otp"]


def test_the_secrets_of_the_page_are_a_configuration_that_can_be_used(tmp_path: Path) -> None:
    script = (
        README.partition("```console\n")[2].partition("```")[0].replace("deploy/secrets", str(tmp_path / "s"))
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        ["sh", "-euc", script], check=True, capture_output=True, env=command.environment(PATH=path)
    )
    made = tmp_path / "s"
    ended = command.run(
        "config", "check", OTP_CONFIG=str(made / "otp.toml"), OTP_REDIS_URL_FILE=str(made / "redis_url")
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert (made / "redis_url").read_text()[9:73] == (made / "valkey.conf").read_text().split()[1]


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (None, 1)])
def test_the_health_check_says_whether_it_can_serve(status: int | None, code: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if status and self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        if status:
            thread.start()
        else:
            server.server_close()
        ended = subprocess.run(
            [sys.executable, ROOT / "deploy/healthcheck.py", str(server.server_port)], check=False
        )
        if status:
            thread.join()

    assert ended.returncode == code
