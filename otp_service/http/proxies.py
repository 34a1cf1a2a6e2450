"""Who calls: the peer of the connection, or whom a trusted proxy says that it speaks for."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Scope

    Network: TypeAlias = IPv4Network | IPv6Network

_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")
"""Some proxies add the port of their peer."""

_SUBNET_BITS: Final = 64
"""What one customer gets at least (RFC 6177): whoever has one IPv6 address has 2^64."""


def caller(scope: Scope, trusted: Sequence[Network]) -> str:
    """What all requests from one place have in common: an IPv4 address, or the /64 of an IPv6 one.

    Every proxy appends its peer to X-Forwarded-For. So the last entry is true if our own peer is trusted, the
    one before it if the last one is trusted too, and so on; whatever stands before those, or is no address,
    anybody may have written. ``Forwarded`` (RFC 7239) is not read.

    Args:
        scope: Of the request.
        trusted: Where our proxies are.
    """
    peer = (scope.get("client") or ("unknown", 0))[0]
    address = _address(peer)
    if address is None:
        return str(peer)
    hops = _hops(scope) if trusted else []
    while hops and any(address in network for network in trusted) and (hop := _address(hops.pop())):
        address = hop
    if isinstance(address, IPv6Address):
        return str(ip_network((address.packed, _SUBNET_BITS), strict=False))
    return str(address)


def _hops(scope: Scope) -> list[str]:
    lines = Headers(scope=scope).getlist("x-forwarded-for")
    return [hop.strip() for line in lines for hop in line.split(",")]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    found = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address(found[1] or found[2] if found else text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
