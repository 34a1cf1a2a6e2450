"""What every provider that is called over HTTP keeps to, whatever the other side does."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.delivery.provider import Answer, Outcome
from otp_service.delivery.providers import TYPES, faults
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests import faults_http
from tests.faults_http import Authority, FaultServer, Reply, closed_port, deaf_port
from tests.provider_cases import HTTP_PROVIDERS, cases, leaves, message, provider, secrets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractContextManager

    from tests.faults_http import Connection

RECEIPTS = "https://otp.example.com/v1/receipts"
SENT_OR_NOT = {
    "hang_after_accept": "timeout",
    "hang_after_request": "timeout",
    "hang_after_headers": "timeout",
    "hang_in_body": "timeout",
    "drip": "timeout",
    "close_after_request": "closed",
    "reset_after_request": "reset",
    "reset_in_body": "truncated",
    "truncated_body": "truncated",
    "truncated_chunks": "truncated",
    "endless_body": "broken_answer",
    "packed_body": "broken_answer",
    "endless_headers": "not_http",
    "not_http": "not_http",
    "two_lengths": "not_http",
}
NO_ANSWER = {
    "an empty 200": Reply(200, b""),
    "a 200 that is no JSON": Reply(200, b"<h1>It works!</h1>"),
    "a 200 that is no object": Reply(200, b"[1]"),
    "a 200 too deep to parse": Reply(200, b"[" * 50_000),
    "a 200 that names nothing": Reply(200, b'{"hello": "world"}'),
    "a 204": Reply(204, b"", {}),
    "a redirect": Reply(302, b"", {"location": "/elsewhere"}),
    "a 408": Reply(408, b"{}"),
    "a 429 of something on the way": Reply(429, b"<h1>Slow down</h1>", {"content-type": "text/html"}),
    "a 500": Reply(500, b"{}"),
    "a 502 of something on the way": Reply(502, b"<h1>Bad gateway</h1>", {"content-type": "text/html"}),
}

REPLIES: list[httpx.Response] = []
MOCKED = Transport(httpx.MockTransport(lambda _: REPLIES.pop()))  # one for all: its certificates take 20 ms

pytestmark = pytest.mark.parametrize("name", HTTP_PROVIDERS)


def sockets() -> int:
    """How many this process holds."""
    count = 0
    for entry in Path("/dev/fd").iterdir():
        try:
            count += stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode)
        except OSError:  # the listing's own
            continue
    return count


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """Closed afterwards, and then nothing of it is left."""
    before = sockets(), len(asyncio.all_tasks())
    async with Transport() as transport:
        yield transport
    for _ in range(100):
        if (sockets(), len(asyncio.all_tasks())) == before:
            return
        await asyncio.sleep(0.01)
    assert (sockets(), len(asyncio.all_tasks())) == before


async def answer(
    name: str,
    transport: Transport,
    reply: Reply | None = None,
    fault: Callable[[Connection], Awaitable[None]] = faults_http.well,
) -> tuple[Answer, FaultServer]:
    async with FaultServer(fault, reply) as server:
        return await provider(name, transport, server.url).send(message()), server


async def test_sends_exactly_the_documented_request(name: str, transport: Transport) -> None:
    expected = cases(name)["request"]
    async with FaultServer() as server:
        await provider(name, transport, server.url).send(
            message(receipt_url=f"{RECEIPTS}/{name}/t0k3n", token="t0k3n")
        )
    (request,) = server.requests
    body = request.body.decode()
    shape = "form" if "form" in expected else "json"
    sent = dict(parse_qsl(body)) if shape == "form" else json.loads(body)
    kind = "application/x-www-form-urlencoded" if "form" in expected else "application/json"
    assert (request.method, request.target) == ("POST", expected["target"])
    assert sent == {key: sent.get(key) if value == "*" else value for key, value in expected[shape].items()}
    headers = {key: value for key, value in request.headers.items() if expected["headers"].get(key) != "*"}
    assert set(expected["headers"]) <= set(request.headers)
    assert headers == {
        "host": server.url.removeprefix("http://"),
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "keep-alive",
        "user-agent": "otp-service",
        "content-type": kind,
        "content-length": str(len(request.body)),
    } | {key: value for key, value in expected["headers"].items() if value != "*"}


async def test_names_every_message_that_was_taken(name: str, transport: Transport) -> None:
    for case in cases(name)["accepted"]:
        given_answer, _ = await answer(
            name, transport, Reply(case["status"], json.dumps(case["body"]).encode())
        )
        expected = Answer(Outcome.ACCEPTED, reference=case["reference"], segments=case["segments"])
        assert given_answer == expected, case["source"]


async def test_translates_every_documented_refusal(name: str, transport: Transport) -> None:
    for case in cases(name)["refused"]:
        given_answer, _ = await answer(
            name, transport, Reply(case["status"], json.dumps(case["body"]).encode())
        )
        assert (given_answer.outcome, given_answer.reason) == (case["outcome"], case["reason"]), case


async def test_what_may_have_gone_is_unknown(name: str, transport: Transport) -> None:
    calls = [answer(name, transport, fault=getattr(faults_http, fault)) for fault in SENT_OR_NOT]
    ended = dict(zip(SENT_OR_NOT, await asyncio.gather(*calls), strict=True))  # together, for many hang
    assert {fault: given_answer for fault, (given_answer, _) in ended.items()} == {
        fault: Answer(Outcome.UNKNOWN, reason) for fault, reason in SENT_OR_NOT.items()
    }
    assert {fault: len(server.requests) for fault, (_, server) in ended.items()} == {
        fault: int(fault != "hang_after_accept") for fault in SENT_OR_NOT
    }


@pytest.mark.parametrize("fault", ["close_after_accept", "reset_after_accept"])
async def test_connection_lost_before_anything_was_read_is_unknown(
    name: str, fault: str, transport: Transport
) -> None:
    given_answer, _ = await answer(name, transport, fault=getattr(faults_http, fault))
    assert given_answer.outcome is Outcome.UNKNOWN
    assert given_answer.reason in {"closed", "reset"}


@pytest.mark.parametrize("case", NO_ANSWER)
async def test_what_answers_nothing_is_unknown(name: str, case: str, transport: Transport) -> None:
    given_answer, server = await answer(name, transport, NO_ANSWER[case])
    assert given_answer.outcome is Outcome.UNKNOWN
    assert given_answer.reason == f"http_{NO_ANSWER[case].status}"
    assert len(server.requests) == 1


async def test_refusal_that_is_not_the_providers_is_unavailable(name: str, transport: Transport) -> None:
    given_answer, _ = await answer(name, transport, Reply(403, b"<h1>Forbidden</h1>"))
    assert (given_answer.outcome, given_answer.reason) == (Outcome.UNAVAILABLE, "http_403")


@pytest.mark.parametrize("fault", ["close_on_reuse", "reset_on_reuse"])
async def test_kept_connection_that_dies_on_reuse_is_unknown_and_sends_once(
    name: str, fault: str, transport: Transport
) -> None:
    async with FaultServer(getattr(faults_http, fault)) as server:
        sender = provider(name, transport, server.url)
        await sender.send(message())
        assert (await sender.send(message())).outcome is Outcome.UNKNOWN
    assert len(server.requests) == 2


async def test_kept_connection_is_used_again(name: str, transport: Transport) -> None:
    async with FaultServer(faults_http.close_on_reuse) as server:
        sender = provider(name, transport, server.url)
        await sender.send(message())
        assert (await sender.send(message())).reason == "closed"


@pytest.mark.parametrize(
    ("port", "reason"), [(closed_port, "connect_failed"), (deaf_port, "connect_timeout")]
)
async def test_no_connection_is_unavailable(
    name: str, port: Callable[[], AbstractContextManager[str]], reason: str, transport: Transport
) -> None:
    with port() as url:
        given_answer = await provider(name, transport, url).send(message())
    assert given_answer == Answer(Outcome.UNAVAILABLE, reason)


async def test_no_such_host_is_unavailable(name: str, transport: Transport) -> None:
    too_long_for_dns = "http://" + "a." * 150 + "invalid"  # so nobody is asked
    given_answer = await provider(name, transport, too_long_for_dns).send(message())
    assert given_answer == Answer(Outcome.UNAVAILABLE, "no_such_host")


async def test_tls_that_is_never_answered_is_unavailable(name: str, transport: Transport) -> None:
    async with FaultServer(faults_http.hang_after_accept) as server:
        given_answer = await provider(name, transport, server.url.replace("http:", "https:")).send(message())
        await asyncio.wait_for(server.hung_up.wait(), 1)
    assert given_answer == Answer(Outcome.UNAVAILABLE, "connect_timeout")


@pytest.mark.parametrize(
    ("shown", "trusted"),
    [
        ({"address": "127.0.0.2"}, True),
        ({"expired": True}, True),
        ({}, False),
    ],
    ids=["of another host", "expired", "of an authority that is not ours"],
)
async def test_certificate_that_proves_nothing_is_unavailable(
    name: str,
    shown: dict[str, Any],
    trusted: bool,  # noqa: FBT001 - a case
    transport: Transport,
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    async with FaultServer(tls=authority.server(**shown)) as server:
        ca_file = authority.ca_file if trusted else None
        given_answer = await provider(name, transport, server.url, ca_file=ca_file).send(message())
    assert given_answer == Answer(Outcome.UNAVAILABLE, "bad_certificate")
    assert server.requests == []


async def test_certificate_of_its_own_authority_is_trusted(
    name: str, transport: Transport, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    case = cases(name)["accepted"][0]
    reply = Reply(case["status"], json.dumps(case["body"]).encode())
    async with FaultServer(reply=reply, tls=authority.server()) as server:
        given_answer = await provider(name, transport, server.url, ca_file=authority.ca_file).send(message())
    assert given_answer.outcome is Outcome.ACCEPTED


async def test_cancelled_send_hangs_up(name: str, transport: Transport) -> None:
    async with FaultServer(faults_http.hang_after_request) as server:
        task = asyncio.create_task(provider(name, transport, server.url, timeout_seconds=10).send(message()))
        await asyncio.wait_for(server.asked.wait(), 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.hung_up.wait(), 1)


@pytest.mark.parametrize("region", ["US", "CA", "PR", "CN"])
async def test_name_is_no_sender_where_only_numbers_pass(
    name: str, region: str, transport: Transport
) -> None:
    async with FaultServer() as server:
        sender = provider(name, transport, server.url, sender="Acme")
        given_answer = await sender.send(message(region=region))
    assert given_answer == Answer(Outcome.UNAVAILABLE, "sender_not_allowed")
    assert server.requests == []


@pytest.mark.parametrize(("region", "expected"), [("US", "+15017122661"), ("EE", "Acme"), ("DE", "Firma")])
async def test_sender_is_the_regions_own(name: str, region: str, expected: str, transport: Transport) -> None:
    async with FaultServer() as server:
        sender = provider(
            name, transport, server.url, sender="Acme", senders={"US": "+15017122661", "DE": "Firma"}
        )
        await sender.send(message(region=region))
    body = server.requests[0].body.decode()
    sent = {value.lstrip("+") for value in leaves(dict(parse_qsl(body)) or json.loads(body))}
    assert expected.lstrip("+") in sent


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_answer_whatever_makes_it_raise(name: str, data: st.DataObject) -> None:
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
    words = sorted({key for case in cases(name)["refused"] + cases(name)["accepted"] for key in case["body"]})
    documents = st.dictionaries(st.sampled_from(words), values, max_size=4).map(
        lambda document: json.dumps(document).encode()
    )
    status = data.draw(st.integers(200, 599))
    body = data.draw(documents | st.binary(max_size=50))
    sender = provider(name, MOCKED)
    REPLIES[:] = [httpx.Response(status, content=body)]
    given_answer = asyncio.run(sender.send(message()))
    assert len(given_answer.reason) <= 32
    assert (given_answer.reference != "") == (given_answer.outcome is Outcome.ACCEPTED)
    given_answer.text.encode()


async def test_reason_never_holds_the_number(name: str, transport: Transport) -> None:
    for case in cases(name)["refused"]:
        body = json.dumps(case["body"]).replace("37256789045", "37256000000").encode()
        given_answer, _ = await answer(name, transport, Reply(case["status"], body))
        assert "56000000" not in given_answer.reason + repr(given_answer)


async def test_logs_neither_text_nor_number_nor_secret(
    name: str, transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for reply in (Reply(), Reply(500)):
            await answer(name, transport, reply)
    assert not [leak for leak in ("0123456789", "56000000", *secrets(name)) if leak in caplog.text]


def test_shows_no_secret_of_its_options(name: str) -> None:
    shown = repr(TYPES[name].Options.model_validate(cases(name)["section"]["options"]))
    assert secrets(name)
    assert not [secret for secret in secrets(name) if secret in shown]


def test_documented_section_has_no_fault(name: str) -> None:
    assert faults(name, ProviderSettings(type=name, options=cases(name)["section"]["options"])) == []


def test_every_missing_option_is_named(name: str) -> None:
    required = [key for key, option in TYPES[name].Options.model_fields.items() if option.is_required()]
    found = faults("mine", ProviderSettings(type=name))
    assert found
    if required:
        assert [f"providers.mine.{key}: required" for key in required] == found
    else:  # one pair of credentials or another
        assert all(": needs " in fault for fault in found)


def test_unknown_option_is_named_with_those_allowed_but_not_its_value(name: str) -> None:
    options = cases(name)["section"]["options"] | {"tokn": "s3cret"}
    (fault,) = faults("mine", ProviderSettings(type=name, options=options))
    allowed = ", ".join(sorted(TYPES[name].Options.model_fields))
    assert fault == f"providers.mine.tokn: no such setting; {name} takes {allowed}"
