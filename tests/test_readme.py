"""The README does what it says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from otp_service.settings import settle
from tests.lab import SECRET, tables
from tests.served import CODE, served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
KEY = f"otp_test_web1_{SECRET}"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def shape(output: str) -> str:
    """Output less what differs from run to run: figures, and the width that they take."""
    return re.sub(r" +", " ", re.sub(r"[0-9]+", "0", output)).strip()


@pytest.fixture
def url(redis: Server) -> Iterator[str]:
    with served(tables(redis.url)) as found:
        yield found


def test_the_demo_prints_what_the_readme_shows() -> None:
    program = Path(sys.executable).with_name("otp-service")
    run = subprocess.run([program, "demo"], capture_output=True, text=True, check=True, timeout=60)
    assert shape(run.stdout) == shape(blocks("text")[0])


def test_the_two_commands_are_one_line_each() -> None:
    first, second = blocks("console")[:2]
    assert first == (
        "python3 -m venv .venv && .venv/bin/pip install -q --no-compile -e clients/python -e '.[dev]' "
        "&& .venv/bin/otp-service demo\n"
    )
    assert second == ".venv/bin/pytest -q\n"


def curl(command: str, url: str, **variables: str) -> httpx.Response:
    """What curl would do with a command of the README."""
    for name, value in variables.items():
        command = command.replace(f"${name}", value)
    words = shlex.split(command.replace("http://127.0.0.1:8000", url))
    assert words[:2] == ["curl", "-s"]
    options = list(zip(words[3::2], words[4::2], strict=True))
    headers = dict(value.split(": ", 1) for flag, value in options if flag == "-H")
    [data] = [value for flag, value in options if flag == "-d"]
    return httpx.post(words[2], headers=headers, content=data)


def test_the_curl_commands_answer_what_the_readme_shows(url: str) -> None:
    start, check = (block for block in blocks("console") if block.startswith("curl"))
    started, checked = (json.loads(block) for block in blocks("json"))
    answer = curl(start, url, KEY=KEY).json()
    assert keys(answer) == keys(started)
    found = curl(check.replace("362688", CODE), url, KEY=KEY, ID=answer["id"]).json()
    assert keys(found) == keys(checked)
    assert found["approved"] is True


def keys(document: Any) -> Any:
    """The shape of a JSON document."""
    if isinstance(document, dict):
        return {name: keys(value) for name, value in document.items()}
    return [keys(value) for value in document] if isinstance(document, list) else type(document).__name__


def test_the_python_example_says_that_it_is_them(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    [example] = blocks("python")
    exec(  # noqa: S102 - the README's own words
        example.replace("http://127.0.0.1:8000", url), {"api_key": KEY, "input": lambda _: CODE}
    )
    assert capsys.readouterr().out == "It is them.\n"


def test_the_configuration_loads_into_one_that_init_writes(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("otp-service")
    [command] = [block for block in blocks("console") if "init" in block]
    words = shlex.split(command.removeprefix(".venv/bin/otp-service"))
    subprocess.run([program, *words], cwd=tmp_path, check=True, capture_output=True)
    ours = tomllib.loads((tmp_path / "otp.toml").read_text(encoding="utf-8"))
    theirs = tomllib.loads(blocks("toml")[0].replace("AC…", "AC" + "0" * 32))
    environ = {"SMSPM_HASH": "h", "SMSPM_TOKEN": "t", "TWILIO_AUTH_TOKEN": "a"}
    settings = settle(ours | theirs, environ)
    assert settings.routes["default"].providers == ("smspm", "twilio")
    settings.require_serving()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_a_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_every_error_of_the_service_is_explained() -> None:
    from otp_service import errors  # noqa: PLC0415 - only here

    codes = {
        problem.code
        for problem in vars(errors).values()
        if isinstance(problem, type) and issubclass(problem, errors.Problem) and hasattr(problem, "code")
    }
    unlisted = {"not_found", "method_not_allowed", "internal_error"}  # of no verb
    assert {code for code in codes - unlisted if f"`{code}`" not in README} == set()
