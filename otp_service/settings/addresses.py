"""Where things are: hosts, networks, URLs and files."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

if TYPE_CHECKING:
    from urllib.parse import SplitResult


def _hostname(text: str) -> str:
    label = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
    if not re.fullmatch(rf"(?=.{{1,253}}$)(?:{label}\.)*(?!\d+$){label}", text.lower(), re.ASCII):
        raise ValueError("must be a host name such as login.example.com, without scheme, port or path")
    return text.lower()


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError('must be a network such as "10.0.0.0/8", no bits set behind its length') from None


def _listen(text: str) -> str:
    found = re.fullmatch(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", text)
    if not found or not 1 <= int(found[1]) <= 65535:  # noqa: PLR2004 - ports are 16 bits
        raise ValueError('must be host:port such as "127.0.0.1:9464"')
    return text


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if url.isascii() and url.isprintable() and " " not in url else None


def _redis_url(text: str) -> str:
    parts = _split(text)
    scheme, _, kind = parts.scheme.partition("+") if parts else ("", "", "")
    plain = scheme in ("redis", "rediss")
    if parts and scheme == "unix" and not kind and parts.path.startswith("/"):
        return text
    if parts and plain and kind in ("", "sentinel", "cluster") and _hosts(parts.netloc, several=bool(kind)):
        if kind == "sentinel" and not parts.path.strip("/"):
            raise ValueError("must name the master: redis+sentinel://host,host/name")
        return text
    raise ValueError(
        "must be redis://host:port/db, rediss://…, unix:///path, redis+sentinel://host,host/name or "
        "redis+cluster://host,host (the last two with rediss+ as well)"
    )


def _hosts(netloc: str, *, several: bool) -> bool:
    hosts = netloc.rpartition("@")[2].split(",")
    form = r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?"
    return (several or len(hosts) == 1) and all(re.fullmatch(form, host) for host in hosts)


def _http_url(text: str) -> str:
    parts = _split(text)
    if not parts or parts.scheme not in ("http", "https") or not _hosts(parts.netloc, several=False):
        raise ValueError("must be a URL that begins with https:// or http://")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be a URL without user, query or fragment")
    return text.rstrip("/")


def _https_url(text: str) -> str:
    url = _http_url(text)
    parts = urlsplit(url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https:// (http:// on loopback only)")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _file(text: object) -> Path:
    path = Path(text) if isinstance(text, str | Path) else None
    try:
        there = path is not None and path.is_file()
    except OSError as error:  # a name that is too long, a folder that does not let us in
        raise ValueError(f"must be the path of a file that can be read: {error.strerror}") from None
    if path is None or not there:
        raise ValueError("must be the path of a file that is there")
    return path


Hostname = Annotated[str, AfterValidator(_hostname)]
Network = Annotated[
    ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(lambda text: _network(str(text)))
]
Listen = Annotated[str, AfterValidator(_listen)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
HttpsUrl = Annotated[str, AfterValidator(_https_url)]
File = Annotated[Path, BeforeValidator(_file)]
