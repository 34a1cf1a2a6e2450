"""The development inbox as a web page: what phones would show, for whoever sits at this machine."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse

from otp_service.errors import Forbidden

if TYPE_CHECKING:
    from otp_service.delivery.providers.console import Console

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_COMMON: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def router(console: Console) -> APIRouter:
    """``/inbox``, where ``/`` leads, and ``/inbox/messages``, which the page reads.

    Args:
        console: Whose messages they are.
    """
    routes = APIRouter(dependencies=[Depends(_from_here)], include_in_schema=False)
    page = files("otp_service").joinpath("inbox.html").read_text("utf-8")
    headers = _COMMON | {"Content-Security-Policy": policy(page), "Referrer-Policy": "no-referrer"}

    @routes.get("/")
    async def root() -> RedirectResponse:
        return RedirectResponse("/inbox")

    @routes.get("/inbox")
    async def inbox() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)

    @routes.get("/inbox/messages")
    async def messages() -> JSONResponse:
        newest_first = [
            {"to": each.to, "text": each.text, "at": _utc(each.at)} for each in reversed(console.inbox)
        ]
        return JSONResponse({"messages": newest_first}, headers=_COMMON)

    return routes


def policy(page: str) -> str:
    """A Content-Security-Policy under which a page's own style and script run, and nothing else."""
    inline = {
        tag: " ".join(
            f"'sha256-{_digest(text)}'" for text in re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        )
        for tag in ("style", "script")
    }
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {inline['style']}",
            f"script-src {inline['script']}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _from_here(request: Request) -> None:
    """Refuse a page of another site whose name was pointed at this machine (DNS rebinding).

    Raises:
        Forbidden: The Host is not one of loopback.
    """
    if _hostname(request.headers.get("host", "")) not in LOOPBACK:
        raise Forbidden("The inbox answers on 127.0.0.1 and localhost only.")


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
