from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from otp_service.delivery.provider import Answer, Outcome
from otp_service.delivery.providers import TYPES, build, faults
from otp_service.delivery.providers.apprise import LOGGERS, THREADS
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests import faults_http
from tests.command import wait_until
from tests.faults_http import FaultServer, Reply, closed_port
from tests.provider_cases import callback, message, missing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from otp_service.delivery.provider import Provider

ACCEPTED = Answer(Outcome.ACCEPTED, reference="a1b2c3")
UNKNOWN = Answer(Outcome.UNKNOWN, "not_confirmed")
EAGLE = Reply(200, b'{"result": [{"message_id": "748", "status": "ok"}]}')


@pytest.fixture(autouse=True)
def _installed() -> None:
    if importlib.util.find_spec("apprise") is None:
        missing("apprise")


def address(server: FaultServer, rest: str = "/?:number={to}") -> str:
    return server.url.replace("http://", "json://u5er:s3cret@") + rest


def section(*urls: str, seconds: float = 2) -> ProviderSettings:
    return ProviderSettings(type="apprise", timeout_seconds=seconds, options={"urls": urls})


@asynccontextmanager
async def sender(*urls: str, seconds: float = 2) -> AsyncIterator[Provider]:
    async with Transport() as transport:
        yield build("tail", section(*urls, seconds=seconds), transport)


async def answer(*urls: str, seconds: float = 2) -> Answer:
    async with sender(*urls, seconds=seconds) as tail:
        return await tail.send(message())


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


# --- sending


async def test_text_and_number_reach_the_service() -> None:
    async with FaultServer() as server:
        assert await answer(address(server)) == ACCEPTED
    sent = json.loads(server.requests[0].body)
    assert (sent["number"], sent["message"]) == ("+37256000000", "Testing: 0123456789 is your Acme code.")


async def test_sms_service_gets_the_whole_number() -> None:
    async with FaultServer(reply=EAGLE) as server:
        assert await answer(server.url.replace("http://", "smseagle://t0k3n@") + "/{to}") == ACCEPTED
    assert json.loads(server.requests[0].body)["params"]["to"] == "+37256000000"


async def test_every_service_gets_the_message() -> None:
    async with FaultServer() as one, FaultServer() as two:
        assert await answer(address(one), address(two)) == ACCEPTED
    assert (len(one.requests), len(two.requests)) == (1, 1)


async def test_one_service_that_took_it_is_enough() -> None:
    async with FaultServer(reply=Reply(500)) as one, FaultServer() as two:
        assert await answer(address(one), address(two)) == ACCEPTED


@pytest.mark.parametrize("status", [302, 400, 401, 429, 500])
async def test_refusal_is_unknown_for_apprise_does_not_say_what_it_was(status: int) -> None:
    async with FaultServer(reply=Reply(status, b"", {"location": "/elsewhere"})) as server:
        assert await answer(address(server)) == UNKNOWN
    assert len(server.requests) == 1


async def test_no_connection_is_unknown_too() -> None:
    with closed_port() as url:
        assert await answer(url.replace("http://", "json://") + "/{to}") == UNKNOWN


async def test_service_that_says_nothing_is_given_up_within_the_sections_time() -> None:
    async with FaultServer(faults_http.hang_after_request) as server:
        assert await answer(address(server, "/{to}?rto=60&cto=60"), seconds=0.3) == UNKNOWN


async def test_address_that_asks_for_retries_gets_none() -> None:
    async with FaultServer(reply=Reply(500)) as server:
        await answer(address(server, "/{to}?retry=3&wait=0"))
    assert len(server.requests) == 1


async def test_address_that_calls_itself_optional_must_succeed_all_the_same() -> None:
    async with FaultServer(reply=Reply(500)) as server:
        assert await answer(address(server, "/{to}?optional=yes")) == UNKNOWN


async def test_number_that_the_service_will_not_take_is_unknown() -> None:
    url = "smseagle://t0k3n@127.0.0.1:1/{to}"
    async with sender(url) as tail:
        assert await tail.send(message(to="+1")) == UNKNOWN


async def test_cancelled_send_that_waits_for_a_thread_is_never_begun() -> None:
    async with FaultServer(faults_http.hang_after_request) as server, Transport() as transport:
        busy = build("busy", section(address(server)), transport)
        sends = [asyncio.create_task(busy.send(message())) for _ in range(THREADS + 1)]
        await asyncio.to_thread(wait_until, lambda: len(server.requests) == THREADS)
        for send in sends:
            send.cancel()
        await asyncio.gather(*sends, return_exceptions=True)
    for thread in threads("busy"):
        thread.join(5)
    assert len(server.requests) == THREADS


async def test_closing_the_transport_ends_the_threads() -> None:
    async with FaultServer() as server, Transport() as transport:
        await build("closing", section(address(server)), transport).send(message())
        (ours,) = threads("closing")
    ours.join(5)
    assert not ours.is_alive()


async def test_it_takes_no_receipts() -> None:
    async with sender("json://127.0.0.1:1/{to}") as tail:
        assert not tail.signs_receipts
        assert list(tail.receipts(callback("https://otp.example.com", b"{}"))) == []


# --- silence


async def test_logs_neither_text_nor_number_nor_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for reply in (Reply(), Reply(500)):
            async with FaultServer(reply=reply) as server:
                await answer(address(server, "/{to}?-token=s3cret"))
                await answer(server.url.replace("http://", "smseagle://s3cret@") + "/{to}")
    leaks = ("0123456789", "56000000", "s3cret")
    assert not [leak for leak in leaks if leak in caplog.text]


@pytest.mark.parametrize("name", LOGGERS)
async def test_loggers_stay_silent_when_the_root_is_at_debug(name: str) -> None:
    async with sender("json://127.0.0.1:1/{to}"):
        assert not logging.getLogger(name).isEnabledFor(logging.WARNING)


def test_options_show_no_address() -> None:
    options = TYPES["apprise"].Options.model_validate({"urls": ["json://u:s3cret@127.0.0.1/{to}"]})
    assert "s3cret" not in repr(options) + str(options)


# --- settings


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "urls: required"),
        ({"urls": []}, "urls: must"),
        ({"urls": ["json://127.0.0.1/s3cret"]}, "urls: must each have {to} where the number goes"),
        ({"urls": ["pigeon://s3cret/{to}"]}, "urls: must each be an address that Apprise reads"),
        ({"urls": ["json://127.0.0.1/{to}"], "tag": "s3cret"}, "tag: no such setting; apprise takes urls"),
        *(
            (
                {"urls": [f"{scheme}://s3cretab:abcdefgh12345678@37256000000/{{to}}"]},
                "urls: must not be Vonage's, whose refusals Apprise takes for successes: use type vonage",
            )
            for scheme in ("vonage", "nexmo", "Nexmo", " vonage")
        ),
    ],
)
def test_option_that_cannot_be_used_is_a_fault(options: dict[str, Any], fault: str) -> None:
    (found,) = faults("tail", ProviderSettings(type="apprise", options=options))
    assert found.startswith(f"providers.tail.{fault}")
    assert "s3cret" not in found


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_apprise_is_imported_only_where_it_is_used() -> None:
    assert python("import sys, otp_service.delivery.providers; print('apprise' in sys.modules)") == "False"


def test_missing_extra_is_a_fault_that_says_how_to_install_it() -> None:
    code = """
import sys
sys.modules["apprise"] = None
from otp_service.delivery.providers import faults
from otp_service.settings import ProviderSettings
print(*faults("tail", ProviderSettings(type="apprise", options={"urls": ["json://127.0.0.1/{to}"]})))
"""
    assert python(code) == 'providers.tail.type: needs an extra: pip install "otp-service[apprise]"'
