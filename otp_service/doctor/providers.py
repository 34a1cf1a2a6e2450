"""Can each provider be reached, and can it report back."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from otp_service.delivery import providers
from otp_service.delivery.courier import INBOX
from otp_service.delivery.providers.smpp import Smpp
from otp_service.delivery.providers.smtp import Smtp
from otp_service.delivery.transport import Transport
from otp_service.doctor.finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from otp_service.delivery.transport import Endpoint
    from otp_service.settings import AppSettings, ProviderSettings, Settings


async def of_providers(settings: Settings) -> AsyncIterator[Finding]:
    """Connect to every provider of every app's route, and send nothing."""
    used = {name for app in settings.apps.values() for name in _chain(settings, app)}
    for name in sorted(settings.providers.keys() - used - {INBOX}):
        yield warn(f"providers.{name}: no app's route uses it; name it in a route, or delete it")
    for name in sorted(used):
        section = settings.providers[name]
        if section.type == INBOX:
            yield warn(f"providers.{name}: reaches nobody; put a real provider into its route")
            continue
        async with _Addresses() as addresses:
            provider = providers.build(name, section, addresses)
        urls = [provider.address] if isinstance(provider, Smpp | Smtp) else addresses.urls
        for url in urls:
            yield await _reached(name, section, url)
        if not urls:
            yield warn(
                f"providers.{name}: only a message shows whether it is reached; send one with --send-to"
            )
        if isinstance(provider, Smpp):
            yield ok(f"providers.{name}: its receipts come over the connection that sends")
        else:
            yield _receipts(settings, name, signs=provider.signs_receipts)


def _chain(settings: Settings, app: AppSettings) -> set[str]:
    route = settings.routes[app.route]
    return {*route.providers, *(name for rule in route.rules for name in rule.providers)}


def _receipts(settings: Settings, name: str, *, signs: bool) -> Finding:
    if not signs:
        return warn(
            f"providers.{name}: takes no receipts, so what is lost is not sent again; "
            "set its signing secret, if it has one"
        )
    if urlsplit(settings.public_url or "").scheme != "https":
        return fail(
            f"providers.{name}: its receipts cannot reach loopback; set public_url to the https:// one"
        )
    return ok(f"providers.{name}: its receipts are taken")


class _Addresses(Transport):
    """Notes where a provider would call."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def endpoint(self, url: str, *, timeout: float, ca_file: Path | None = None) -> Endpoint:
        """Note it."""
        self.urls.append(url)
        return super().endpoint(url, timeout=timeout, ca_file=ca_file)


async def _reached(name: str, section: ProviderSettings, url: str) -> Finding:
    """Connect as a send would, and say nothing."""
    parts = urlsplit(url)
    secure = parts.scheme in {"https", "tls"}
    web = parts.scheme.startswith("http")
    where, how = ("base_url", "the scheme of base_url") if web else ("host", "tls, security or port")
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    tls = ssl.create_default_context(cafile=section.ca_file) if secure else None
    here = f"providers.{name}: {host}:{port}"
    try:
        async with asyncio.timeout(section.timeout_seconds):
            _, writer = await asyncio.open_connection(host, port, ssl=tls)
            writer.transport.abort()  # nothing was said, so there is no good-bye to wait for
            with suppress(OSError):
                await writer.wait_closed()
    except (socket.gaierror, UnicodeError):  # the latter of what cannot be a name
        return fail(f"{here} has no address; correct {where}, or the name servers of this machine")
    except ssl.SSLCertVerificationError as error:
        return fail(f"{here} shows a certificate we do not trust ({error.verify_message}); set ca_file")
    except ssl.SSLError:
        return fail(f"{here} speaks no TLS that we do; correct {how}")
    except (OSError, TimeoutError) as error:
        return fail(f"{here} takes no connection ({type(error).__name__}); open the firewall for it")
    return ok(f"{here} is reached{' over TLS' if secure else ''}")
