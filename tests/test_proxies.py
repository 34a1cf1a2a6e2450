"""Trusted proxies: the hop that one of them added, and nothing else that a header says."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from otp_service.app import create_app
from otp_service.http.proxies import caller
from otp_service.serve import server_config
from otp_service.settings import Settings
from tests.lab import tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab import Lab

PROXIES = ["10.0.0.0/8", "fd00::/8"]
TRUSTED = [ip_network(network) for network in PROXIES]
FIVE: dict[str, Any] = {"limits": {"requests_per_address": "5/1h"}}


def said(peer: str | None, *lines: str, trusted: Sequence[Any] = TRUSTED) -> str:
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]
    client = (peer, 4711) if peer else None
    return caller({"type": "http", "client": client, "headers": headers}, trusted)


async def passed(web: Lab, peer: str, header: str, count: int = 1000) -> int:
    """How many of so many requests pass; the header has {i} where each is different."""
    app = httpx.ASGITransport(web.http._transport.app, client=(peer, 4711))  # type: ignore[attr-defined]
    async with httpx.AsyncClient(transport=app, base_url="http://otp.test") as stranger:
        answers = [
            await stranger.get(
                "/livez",
                headers={"X-Forwarded-For": header.format(i=i % 256, hex=f"{i:x}", ip=f"{i >> 8}.{i & 255}")},
            )
            for i in range(count)
        ]
    return [answer.status_code for answer in answers].count(200)


@pytest.mark.naive("believes_headers", "takes_the_first_hop")
@pytest.mark.parametrize("changes", [FIVE | {"trusted_proxies": PROXIES}])
async def test_a_thousand_invented_headers_of_a_stranger_are_one_bucket(web: Lab) -> None:
    assert await passed(web, "203.0.113.1", "198.51.{ip}, 10.0.0.{i}") == 5


@pytest.mark.naive("believes_headers", "takes_the_first_hop")
@pytest.mark.parametrize("changes", [FIVE | {"trusted_proxies": PROXIES}])
async def test_a_thousand_invented_headers_through_our_proxy_are_one_bucket(web: Lab) -> None:
    assert await passed(web, "10.0.0.1", "198.51.{ip}, 203.0.113.1") == 5


@pytest.mark.parametrize("changes", [FIVE | {"trusted_proxies": PROXIES}])
async def test_a_thousand_addresses_of_one_64_are_one_bucket(web: Lab) -> None:
    assert await passed(web, "10.0.0.1", "2001:db8:1:2:{hex}::1") == 5


@pytest.mark.parametrize("changes", [FIVE | {"trusted_proxies": PROXIES}])
async def test_clients_behind_our_proxy_do_not_slow_each_other(web: Lab) -> None:
    assert await passed(web, "10.0.0.1", "198.51.{ip}", count=20) == 20


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        ("203.0.113.1", (), "203.0.113.1"),
        ("203.0.113.1", ("198.51.100.1",), "203.0.113.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("1.1.1.1, 198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("1.1.1.1", "198.51.100.1"), "198.51.100.1"),
        ("10.0.0.1", ("1.1.1.1, 198.51.100.1, 10.0.0.2",), "198.51.100.1"),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ("10.0.0.1", ("1.1.1.1, unknown",), "10.0.0.1"),
        ("10.0.0.1", ("1.1.1.1, unknown, 10.0.0.2",), "10.0.0.2"),
        ("10.0.0.1", ("1.1.1.1,",), "10.0.0.1"),
        ("10.0.0.1", ("\xff\xfe, 300.1.1.1",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
        ("10.0.0.1", ("[2001:db8::1]:4711",), "2001:db8::/64"),
        ("10.0.0.1", ("[2001:db8::1]",), "2001:db8::/64"),
        ("10.0.0.1", ("::ffff:198.51.100.1",), "198.51.100.1"),
        ("::ffff:10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("fd00::1", ("2001:db8::1:2:3:4",), "2001:db8::/64"),
        ("2001:db8::1", ("198.51.100.1",), "2001:db8::/64"),
        (None, ("198.51.100.1",), "unknown"),
    ],
)
def test_only_the_hop_that_a_trusted_proxy_added_counts(
    peer: str | None, lines: tuple[str, ...], expected: str
) -> None:
    assert said(peer, *lines) == expected


def test_without_trusted_proxies_the_peer_counts() -> None:
    assert said("10.0.0.1", "198.51.100.1", trusted=()) == "10.0.0.1"


def test_the_server_itself_believes_no_header() -> None:
    settings = Settings.model_validate(tables("redis://127.0.0.1:1/0", trusted_proxies=["127.0.0.0/8"]))
    assert server_config(settings, create_app(settings), log_config=None).proxy_headers is False
