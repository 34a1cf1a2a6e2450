"""Where providers report; whoever holds neither the address nor the signature changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from otp_service.delivery.provider import Callback, ForgedReceipt
from otp_service.delivery.receipts import PATH
from otp_service.errors import Forbidden, NotFound
from otp_service.http import body as bodies

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from otp_service.delivery.provider import Provider, Receipt
    from otp_service.delivery.receipts import ReceiptUrls

LARGEST: Final = 1024 * 1024
"""Bytes of a callback; Infobip's are the longest, up to 100 receipts of less than 1 KiB, so this is ample."""


def router(
    providers: Mapping[str, Provider], urls: ReceiptUrls, take: Callable[[str, Receipt], Awaitable[None]]
) -> APIRouter:
    """One route for each provider whose receipts can be trusted.

    Args:
        providers: By name; those that cannot prove their receipts get no route.
        urls: Reads the tokens.
        take: Takes a provider's receipt.
    """
    routes = APIRouter(prefix=PATH, include_in_schema=False)

    def mount(name: str, provider: Provider) -> None:
        async def receive(request: Request, token: str = "") -> Response:
            body = await bodies.read(request, LARGEST)
            if token and urls.read(name, token) is None:
                raise NotFound("No message was sent with this address.")
            query = f"?{request.url.query}" if request.url.query else ""
            url = f"{urls.url(name, token) or ''}{query}"
            try:
                receipts = provider.receipts(
                    Callback(request.method, url, dict(request.headers.items()), body)
                )
            except ForgedReceipt:
                raise Forbidden("The signature does not show that the provider sent this.") from None
            for receipt in receipts:
                if not token or receipt.token in ("", token):  # else it is genuine, but of another message
                    await take(name, replace(receipt, token=token or receipt.token))
            return Response(status_code=204)

        for path in (f"/{name}", f"/{name}/{{token}}"):
            routes.add_api_route(path, receive, methods=["GET", "POST"], name=f"receipts {name}")

    for name, provider in providers.items():
        if provider.signs_receipts:
            mount(name, provider)
    return routes
