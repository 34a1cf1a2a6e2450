"""The TypeScript client: its own tests, its package, and its README against a live service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests import command
from tests.lab import code_in
from tests.provider_cases import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT = Path(__file__).parent.parent / "clients" / "typescript"
README = (CLIENT / "README.md").read_text(encoding="utf-8")
PROMPT = "Code: "


def npm(*arguments: str, cwd: Path = CLIENT) -> str:
    """What npm says, once it is content."""
    if not shutil.which("npm"):
        missing("npm")
    if not (CLIENT / "node_modules").exists():
        missing("clients/typescript/node_modules (npm ci --prefix clients/typescript)")
    done = subprocess.run(
        ["npm", *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def shape(output: str) -> str:
    return re.sub(r"[0-9]+", "0", output)


def test_its_own_tests_pass_and_they_run_every_case() -> None:
    assert re.search(r"^# fail 0$", npm("test"), re.MULTILINE)


def test_publint_and_attw_find_nothing_to_say() -> None:
    said = npm("run", "check")
    assert "All good!" in said
    assert "🟢" in said


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of nothing but the tarball."""
    npm("pack", "--pack-destination", str(tmp_path))
    [tarball] = tmp_path.glob("*.tgz")
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}', encoding="utf-8")
    npm("install", "--offline", "--no-audit", "--no-fund", f"./{tarball.name}", cwd=tmp_path)
    return tmp_path


@pytest.fixture
def service() -> Iterator[tuple[str, str]]:
    """The URL and the live key of `otp-service dev`."""
    with command.started("dev", "--port", "0") as dev:
        printed = dev.wait_for(r"(?s).*Ctrl-C.*")[0]
        url, key = (re.search(pattern, printed) for pattern in (r"http://127\.0\.0\.1:\d+", r"otp_live_\w+"))
        assert url
        assert key
        yield url[0], key[0]


def test_the_tarball_in_an_empty_project_says_what_the_readme_shows(
    project: Path, service: tuple[str, str]
) -> None:
    url, key = service
    example = "".join(blocks("js")[:2]).replace("http://127.0.0.1:8000", url)
    (project / "example.js").write_text(example, encoding="utf-8")
    with subprocess.Popen(
        ["node", "example.js"],
        cwd=project,
        env=os.environ | {"OTP_API_KEY": key},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.read(len(PROMPT)) == PROMPT
        [message] = httpx.get(f"{url}/inbox/messages", trust_env=False).json()["messages"]
        code = code_in(message["text"])
        process.stdin.write(f"{code}\n")
        process.stdin.close()
        said = process.stdout.read()
    assert shape(f"{PROMPT}{code}\n{said}") == shape("".join(blocks("text")))


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_a_link_leads_somewhere(link: str) -> None:
    assert (CLIENT / link).exists()
