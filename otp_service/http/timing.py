"""How long each request took."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_ROUTE: Final = "none"
"""Stands for every path that leads nowhere, and for what the edge refused: callers choose those."""


class Timing:
    """Plain ASGI round everything else.

    Args:
        app: What is behind it.
        answered: Hears of every request: its route's template, its status, its seconds.
    """

    def __init__(self, app: ASGIApp, *, answered: Callable[[str, int, float], None]) -> None:
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Time a request, whatever becomes of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        status = 500  # what is answered further out when nothing was answered here

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path_format", NO_ROUTE)
            self._answered(route, status, perf_counter() - began)
