"""The edge: a request id for every request, and a coarse ceiling before anything else is done.

slowapi's storage is asked synchronously, so it stays in this process's memory: with a Redis behind it one
hung server would freeze the event loop. Limits that protect money or people are in the guard. Its key is
never empty (slowapi fails open on that) and never a phone number (it logs its key).
"""

from __future__ import annotations

import math
import re
import secrets
import time
from typing import TYPE_CHECKING, Final

from limits import RateLimitItemPerSecond
from slowapi import Limiter
from slowapi.util import get_remote_address
from starlette.datastructures import Headers, MutableHeaders
from structlog.contextvars import bound_contextvars

from otp_service.errors import Throttled
from otp_service.http.proxies import caller as caller_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otp_service.http.auth import Keys
    from otp_service.http.problems import Problems
    from otp_service.http.proxies import Network
    from otp_service.settings import Window

_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Edge:
    """Plain ASGI, because a ``BaseHTTPMiddleware`` costs 0.2 ms each.

    Args:
        app: What is behind it.
        keys: Who may call.
        problems: How a refusal is answered.
        strangers: Requests from one address without a valid key; those with a wrong key slow only each other.
        trusted: Proxies whose X-Forwarded-For is believed.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Keys,
        problems: Problems,
        strangers: Window,
        trusted: Sequence[Network] = (),
    ) -> None:
        self._app = app
        self._keys = keys
        self._problems = problems
        self._strangers = strangers
        self._trusted = trusted
        self._limiter = Limiter(
            key_func=get_remote_address, storage_uri="memory://", strategy="moving-window"
        ).limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request, know its caller, and let it through or not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = headers.get("x-request-id", "")
        request_id = asked if _SANE_ID.fullmatch(asked) else f"req_{secrets.token_hex(12)}"
        caller = self._keys.find(headers.get("authorization"))
        scope.setdefault("state", {}).update(request_id=request_id, caller=caller)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        if caller:
            refusal = self._hit(caller.app.limits.requests_per_key, "key", caller.key.id)
        else:
            kind = "wrong key" if "authorization" in headers else "address"
            refusal = self._hit(self._strangers, kind, caller_of(scope, self._trusted))
        with bound_contextvars(request_id=request_id):
            answering = self._problems.render(refusal, scope) if refusal else self._app
            await answering(scope, receive, named)

    def _hit(self, window: Window, kind: str, who: str) -> Throttled | None:
        item = RateLimitItemPerSecond(window.limit, window.seconds)
        if self._limiter.hit(item, kind, who):
            return None
        reset = self._limiter.get_window_stats(item, kind, who).reset_time
        wait = max(1, math.ceil(reset - time.time()))
        return Throttled(
            "Too many requests; this ceiling protects the service.",
            reason="requests_per_key",
            retry_after=wait,
        )
