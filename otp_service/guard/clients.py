"""The end user's address, as what is counted of it."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

# RFC 1918, 6598 (shared by a carrier's customers), 1122, 3927, 4193, 4291. ipaddress.is_private has the
# addresses of documentation too, which are as good as any.
_PRIVATE: Final = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "0.0.0.0/8", "fc00::/7", "fe80::/10", "::/127",
    )
)  # fmt: skip

_SUBNET_BITS: Final = 64
"""What one customer gets at least (RFC 6177): whoever has one IPv6 address has 2^64."""


def bucket(address: str | None) -> bytes | None:
    """What all starts from one place have in common; None for an address that many places have.

    Args:
        address: IPv4 or IPv6, as ``ipaddress`` reads it.
    """
    if address is None:
        return None
    found = ip_address(address)
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if any(found in network for network in _PRIVATE):
        return None
    return found.packed[: _SUBNET_BITS // 8] if isinstance(found, IPv6Address) else found.packed


def known(address: str | None) -> str:
    """What is known of a client's address: ``counted``, ``private``, or nothing."""
    if address is None:
        return ""
    return "counted" if bucket(address) else "private"
