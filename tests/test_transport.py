"""The transport itself; what providers make of it is in ``test_provider_contract.py``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import httpx
import pytest

from otp_service.delivery.provider import Answer, Outcome
from otp_service.delivery.transport import FAILURES, MAX_ANSWER_BYTES, Aiohttp, Transport
from tests import faults_http
from tests.faults_http import FaultServer, Reply, closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class SendsAgain(Aiohttp):
    """What a client with retries does when a connection dies."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except aiohttp.ClientError:
            return await super().handle_async_request(request)


class FollowsRedirects(Aiohttp):
    """What most clients do by default."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if response.is_redirect:
            request.url = request.url.join(response.headers["location"])
            return await super().handle_async_request(request)
        return response


NAIVE = {"sends once": SendsAgain, "follows no redirect": FollowsRedirects}
"""Wrong variants, by the rule that each breaks."""


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport() as transport:
        yield transport


async def requests_after_close(wire: Aiohttp) -> int:
    async with FaultServer(faults_http.close_after_request) as server, Transport(wire) as transport:
        await transport.endpoint(server.url, timeout=1).post()
    return len(server.requests)


async def requests_after_redirect(wire: Aiohttp) -> int:
    reply = Reply(307, b"", {"location": "/elsewhere"})
    async with FaultServer(reply=reply) as server, Transport(wire) as transport:
        await transport.endpoint(server.url, timeout=1).post(json={"code": "0123456789"})
    return len(server.requests)


async def test_sends_once() -> None:
    assert await requests_after_close(Aiohttp()) == 1
    assert await requests_after_close(NAIVE["sends once"]()) > 1


async def test_follows_no_redirect() -> None:
    assert await requests_after_redirect(Aiohttp()) == 1
    assert await requests_after_redirect(NAIVE["follows no redirect"]()) > 1


async def test_hands_over_every_status(transport: Transport) -> None:
    for status in (200, 302, 404, 503):
        async with FaultServer(reply=Reply(status, b'{"a": 1}')) as server:
            response = await transport.endpoint(server.url, timeout=1).post()
        assert isinstance(response, httpx.Response)
        assert (response.status_code, response.json()) == (status, {"a": 1})


async def test_body_may_be_as_long_as_the_limit_and_no_longer(transport: Transport) -> None:
    async with FaultServer(reply=Reply(body=b" " * MAX_ANSWER_BYTES)) as server:
        assert isinstance(await transport.endpoint(server.url, timeout=1).post(), httpx.Response)
    async with FaultServer(reply=Reply(body=b" " * (MAX_ANSWER_BYTES + 1))) as server:
        assert await transport.endpoint(server.url, timeout=1).post() == Answer(
            Outcome.UNKNOWN, "broken_answer"
        )


async def test_keeps_no_cookies(transport: Transport) -> None:
    reply = Reply(headers={"set-cookie": "session=1; Path=/"})
    async with FaultServer(reply=reply) as server:
        endpoint = transport.endpoint(server.url, timeout=1)
        await endpoint.post()
        await endpoint.post()
    assert len(server.requests) == 2
    assert not [request for request in server.requests if "cookie" in request.headers]


async def test_asks_the_environment_for_no_proxy(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer() as proxy, FaultServer() as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        await transport.endpoint(server.url, timeout=1).post()
    assert (len(proxy.requests), len(server.requests)) == (0, 1)


async def test_full_pool_is_unavailable() -> None:
    async with (
        FaultServer(faults_http.hang_after_request) as server,
        Transport(Aiohttp(connections=1)) as transport,
    ):
        endpoint = transport.endpoint(server.url, timeout=0.6)
        holder = asyncio.create_task(endpoint.post())
        await asyncio.wait_for(server.asked.wait(), 1)
        assert await endpoint.post() == Answer(Outcome.UNAVAILABLE, "connect_timeout")
        await holder
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "failure", [RuntimeError, aiohttp.ClientError, aiohttp.ClientConnectionError, OSError]
)
async def test_failure_that_nobody_listed_is_unknown(failure: type[Exception]) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise failure

    endpoint = Transport(httpx.MockTransport(fail)).endpoint("http://127.0.0.1", timeout=1)
    assert await endpoint.post() == Answer(Outcome.UNKNOWN, "call_failed")


def test_only_what_comes_before_a_connection_is_certainly_unsent() -> None:
    certain = {kind for kind, outcome, _ in FAILURES if outcome is Outcome.UNAVAILABLE}
    assert certain == {
        aiohttp.ClientConnectorDNSError,
        aiohttp.ClientConnectorCertificateError,
        aiohttp.ClientConnectorSSLError,
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
    }


async def test_closed_transport_answers_too() -> None:
    transport = Transport()
    with closed_port() as url:
        endpoint = transport.endpoint(url, timeout=1)
        await endpoint.post()
        await transport.aclose()
        assert await endpoint.post() == Answer(Outcome.UNKNOWN, "call_failed")
