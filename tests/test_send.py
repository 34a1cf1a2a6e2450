"""``otp-service send``: a plain text through a route."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal
from typer.testing import CliRunner

from otp_service.cli import app
from otp_service.phone import parse
from otp_service.sending import Content, Sending, arrived
from otp_service.settings import load
from tests import faults_http
from tests.command import PATIENCE, PROGRAM, environment, started, wait_until
from tests.faults_http import FaultServer, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from typer.testing import Result

    from otp_service.verification import Delivery
    from tests.faults_http import Connection

ONE, TWO, THREE = "+37256789045", "+37256789046", "+37256789047"
TAKEN = Reply(200, b'{"status": "success", "messageId": "m1", "id": "m1"}')
REFUSED = Reply(400, b'{"error": {"code": "closed", "outcome": "unavailable"}}')
CONFIGURATION = """
[apps.web]
brand = "Acme"
countries = ["EE"]
[routes.default]
providers = ["plain", "pictures"]
[routes.pictures]
providers = ["pictures"]
[routes.plain]
providers = ["plain"]
[providers.plain]
type = "smspm"
base_url = "{plain}"
hash = "h4sh"
token = "t0k3n"
[providers.pictures]
type = "webhook"
url = "{pictures}"
timeout_seconds = 1.5
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""
NOBODY = "http://127.0.0.1:1"


@contextmanager
def vendor(
    reply: Reply = TAKEN, fault: Callable[[Connection], Awaitable[None]] = faults_http.well
) -> Iterator[FaultServer]:
    """A provider in a thread of its own, for a command in this one."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(FaultServer(fault, reply)) as server,
    ):
        yield server


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Path]:
    def write(plain: str = NOBODY, pictures: str = NOBODY) -> Path:
        path = tmp_path / "otp.toml"
        path.write_text(CONFIGURATION.format(plain=plain, pictures=pictures))
        return path

    return write


def send(config: Path, *arguments: str, text: str = "Tere!") -> Result:
    clear: dict[str, Any] = {"OTP_CONFIG": None}
    return CliRunner().invoke(app, ["send", text, "--config", str(config), *arguments], env=clear)


def rows(result: Result) -> list[list[str]]:
    return [line.split("\t") for line in result.stdout.splitlines()]


def numbers(server: FaultServer) -> list[str]:
    found = (json.loads(request.body) for request in server.requests)
    return ["+" + body["toNumber"] if "toNumber" in body else body["to"] for body in found]


# --- sending


def test_text_goes_to_the_first_provider_of_the_route(configured: Callable[..., Path]) -> None:
    with vendor() as server:
        result = send(configured(server.url), "--to", ONE)
    assert rows(result) == [["--to:1", "+372*****045", "plain", "accepted", ""]]
    assert (result.exit_code, json.loads(server.requests[0].body)["text"]) == (0, "Tere!")


def test_next_provider_gets_what_the_first_one_refused(configured: Callable[..., Path]) -> None:
    with vendor(REFUSED) as first, vendor() as second:
        result = send(configured(first.url, second.url), "--to", ONE)
    assert [row[2:] for row in rows(result)] == [
        ["plain", "unavailable", "error"],
        ["pictures", "accepted", ""],
    ]
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [(REFUSED, ["unavailable", "closed"]), (Reply(500), ["unknown", "http_500"])],
    ids=["refused", "nobody knows"],
)
def test_message_that_nobody_took_is_a_failure(
    configured: Callable[..., Path], reply: Reply, outcome: list[str]
) -> None:
    with vendor(reply) as server:
        result = send(configured(pictures=server.url), "--to", ONE, "--route", "pictures")
    assert rows(result) == [["--to:1", "+372*****045", "pictures", *outcome]]
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "sent 0, failed 1")


def test_pictures_go_only_through_providers_that_take_them(configured: Callable[..., Path]) -> None:
    with vendor() as plain, vendor() as pictures:
        urls = ["https://example.com/a.png?x=1", "https://example.com/b.png"]
        media = [each for url in urls for each in ("--media-url", url)]
        result = send(configured(plain.url, pictures.url), "--to", ONE, *media)
    assert (result.exit_code, plain.requests) == (0, [])
    assert json.loads(pictures.requests[0].body)["media"] == urls


def test_each_message_has_a_name_of_its_own(configured: Callable[..., Path]) -> None:
    with vendor() as server:
        send(configured(pictures=server.url), "--to", ONE, "--to", TWO, "--route", "pictures")
    assert len({request.headers["webhook-id"] for request in server.requests}) == 2


def test_carrier_is_told_to_the_provider(configured: Callable[..., Path]) -> None:
    settings = load({}, configured())
    content = Content("Tere!", carrier="verizon")
    sending = Sending(settings, settings.apps["web"], settings.routes["default"], content)
    assert sending._message(parse(ONE)).carrier == "verizon"


async def test_as_many_messages_are_on_their_way_as_asked_for_and_no_more(
    configured: Callable[..., Path],
) -> None:
    under_way = most = 0
    three = asyncio.Barrier(3)

    async def together(client: Connection) -> None:
        nonlocal under_way, most
        while True:
            await client.request()
            under_way += 1
            most = max(most, under_way)
            await three.wait()
            under_way -= 1
            await client.answer()

    tries: list[Sequence[Delivery]] = []
    async with FaultServer(together, TAKEN) as server:
        settings = load({}, configured(server.url))
        sending = Sending(settings, settings.apps["web"], settings.routes["plain"], Content("Tere!"))
        recipients, _ = sending.recipients(("list", f"+3725678{last}") for last in range(1000, 1012))
        await sending.deliver(recipients, concurrency=3, tell=lambda _, tried: tries.append(tried))
    assert (len(server.requests), most) == (12, 3)
    assert all(arrived(each) for each in tries)


# --- recipients


def test_file_holds_numbers_in_any_spelling_each_sent_to_once(
    configured: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "numbers.txt"
    file.write_text(f"\ufeff{ONE}\n\n# friends\n5678 9046  # national\r\n(+372) 56-789-045\n", "utf-8")
    with vendor() as server:
        result = send(
            configured(server.url), "--file", str(file), "--to", THREE, "--to", ONE, "--region", "ee"
        )
    assert sorted(numbers(server)) == [ONE, TWO, THREE]
    assert [row[0] for row in rows(result)] == ["--to:1", "--to:2", "numbers.txt:4"]


def test_nothing_is_sent_while_a_line_is_wrong(configured: Callable[..., Path], tmp_path: Path) -> None:
    file = tmp_path / "numbers.txt"
    file.write_text(f"{ONE}\n+37256\nÄ12\n")
    with vendor() as server:
        result = send(configured(server.url), "--file", str(file))
    assert (result.exit_code, server.requests) == (2, [])
    assert result.stderr.splitlines() == [
        "numbers.txt:2: No such number exists; check the digits and the country.",
        "numbers.txt:3: Write digits 0-9 after at most one plus sign; no letters and no extension.",
        "Nothing was sent; --skip-invalid leaves these out.",
    ]


def test_wrong_lines_can_be_left_out(configured: Callable[..., Path]) -> None:
    with vendor() as server:
        result = send(configured(server.url), "--to", "+37256", "--to", ONE, "--skip-invalid")
    assert (result.exit_code, numbers(server)) == (0, [ONE])
    assert result.stderr.startswith("left out: --to:1: No such number exists")


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("+3729001234", "numbers of this type"),
        ("+881631000001", "numbers of this type"),
        ("+4915112345678", "to this country"),
    ],
    ids=["premium", "satellite", "country"],
)
def test_number_that_the_app_may_not_send_to_is_not_dialled(
    configured: Callable[..., Path], number: str, why: str
) -> None:
    with vendor() as server:
        result = send(configured(server.url), "--to", number, "--to", ONE)
    assert (result.exit_code, server.requests) == (2, [])
    assert why in result.stderr


def test_picture_that_no_provider_of_the_route_takes_is_refused(configured: Callable[..., Path]) -> None:
    result = send(configured(), "--to", ONE, "--media-url", "https://example.com/a.png", "--route", "plain")
    assert result.exit_code == 2
    assert result.stderr.startswith("--to:1: No provider of the route sends pictures to EE.")


# --- what is said


def test_size_is_said_before_anything_is_sent(configured: Callable[..., Path]) -> None:
    with vendor() as server:
        result = send(configured(server.url), "--to", ONE, "--to", TWO, text="õ" * 71)
    assert result.stderr.splitlines() == ["2 segments of UCS-2 to 2 numbers = 4 segments", "sent 2"]


def test_neither_number_nor_text_nor_secret_is_printed(configured: Callable[..., Path]) -> None:
    with vendor(Reply(500)) as server:
        result = send(configured(server.url), "--to", ONE, "--to", "+37256", text="Very private")
        result_of_sending = send(configured(server.url), "--to", ONE, text="Very private")
    said = result.output + result_of_sending.output
    assert not [leak for leak in ("56789045", "private", "h4sh", "t0k3n") if leak in said]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "--to or --file: must give a number to send to"),
        (["--to", ONE, "--app", "x"], "--app: must be one of web"),
        (["--to", ONE, "--route", "x"], "--route: must be one of default, pictures, plain"),
        (["--to", ONE, "--media-url", "a.png"], "--media-url: must begin with https:// or http://"),
        (["--file", "/no/such"], "--file: cannot be read: No such file or directory"),
        (["--file", os.devnull], "--to or --file: must give a number to send to"),
        (["--to", "56789045", "--region", "XX"], "--to:1: A region is an ISO 3166 alpha-2 code in capitals"),
    ],
)
def test_wrong_option_is_named(configured: Callable[..., Path], arguments: Sequence[str], fault: str) -> None:
    result = send(configured(), *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(fault)


@pytest.mark.parametrize("text", ["", " \n", "\udcff"])
def test_text_must_be_text(configured: Callable[..., Path], text: str) -> None:
    result = send(configured(), "--to", ONE, text=text)
    assert result.exit_code == 2
    assert result.stderr.startswith("TEXT: must")


def test_file_must_be_utf_8(configured: Callable[..., Path], tmp_path: Path) -> None:
    file = tmp_path / "numbers.txt"
    file.write_bytes(b"\xff\xfe")
    result = send(configured(), "--file", str(file))
    assert (result.exit_code, result.stderr) == (2, "--file: must be text in UTF-8\n")


# --- at a terminal


def at_a_terminal(config: Path, answer: str, *arguments: str) -> tuple[int, str]:
    """Exit code of the command, and all that the terminal showed."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, "send", "Tere!", "--config", str(config), *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        env=environment(TERM="xterm", COLUMNS="100"),
    ) as process:
        os.close(its)
        os.write(ours, answer.encode())
        shown = b""
        try:
            while data := os.read(ours, 65536):
                shown += data
        except OSError:  # Linux says so when the other side is closed
            pass
        os.close(ours)
        return process.wait(PATIENCE), shown.decode()


@pytest.mark.slow
def test_several_numbers_are_asked_about_at_a_terminal(configured: Callable[..., Path]) -> None:
    with vendor() as server:
        code, shown = at_a_terminal(configured(server.url), "n\n", "--to", ONE, "--to", TWO)
    assert (code, server.requests) == (2, [])
    assert "Send? [y/N]" in shown


@pytest.mark.slow
def test_progress_and_a_table_are_for_a_terminal(configured: Callable[..., Path]) -> None:
    with vendor() as server:
        code, shown = at_a_terminal(configured(server.url), "y\n", "--to", ONE, "--to", TWO)
    assert (code, len(server.requests)) == (0, 2)
    assert [word for word in ("Sending", "100%", "┃", "provider", "sent 2") if word not in shown] == []


def test_interrupt_begins_no_more_and_tells_what_became_of_the_rest(
    configured: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "numbers.txt"
    file.write_text(f"{ONE}\n{TWO}\n{THREE}\n")
    arguments = ("--file", str(file), "--route", "pictures", "--concurrency", "2")
    with vendor(fault=faults_http.hang_after_request) as server:
        config = str(configured(pictures=server.url))
        with started("send", "Tere!", "--config", config, *arguments) as command:
            wait_until(lambda: len(server.requests) == 2)
            code = command.end(signal.SIGINT)
            outcomes = [line.split("\t")[3:] for line in command.stdout.splitlines()]
            last = command.stderr.splitlines()[-1]
    assert outcomes == [["unknown", "timeout"], ["unknown", "timeout"], ["not_begun", ""]]
    assert (code, last) == (1, "sent 0, failed 2, not begun 1")
