"""Every error as RFC 9457 problem details, in one place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from otp_service import events
from otp_service.errors import InternalError, MethodNotAllowed, NotFound, Problem

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.types import Scope

    from otp_service.events import Listener
    from otp_service.verification import RateLimit

MEDIA_TYPE = "application/problem+json"


class Problems:
    """Renders problems and answers with them.

    Args:
        public_url: Where the pages that explain the codes are, or None for relative ones.
        tell: Hears of every refusal.
    """

    def __init__(self, public_url: str | None, tell: Listener) -> None:
        self._tell = tell
        self._base = f"{public_url or ''}/errors/"

    def install(self, app: FastAPI) -> None:
        """Answer every error of an application so."""
        app.add_exception_handler(Problem, self._problem)
        app.add_exception_handler(HTTPException, self._http)
        app.add_exception_handler(RequestValidationError, self._http)
        app.add_exception_handler(ClientDisconnect, self._gone)
        app.add_exception_handler(Exception, self._fault)

    def render(self, problem: Problem, scope: Scope) -> Response:
        """The answer that a problem is to a request that the edge has named."""
        caller, request_id = scope["state"]["caller"], scope["state"]["request_id"]
        self._tell(events.Refused(caller.app.name if caller else "", problem.code, problem.reason or ""))
        return self.answer(problem.status, problem.members(), request_id, rate_limit_headers(problem.limit))

    def answer(
        self, status: int, members: dict[str, Any], request_id: str, headers: dict[str, str] | None = None
    ) -> Response:
        """A problem document from its members."""
        body = {"type": self._base + members["code"], **members, "request_id": request_id}
        headers = dict(headers or {})
        if "retry_after" in members:
            headers["Retry-After"] = str(members["retry_after"])
        if status == 401:  # noqa: PLR2004 - RFC 9110, 11.6.1: a 401 names the scheme
            headers["WWW-Authenticate"] = "Bearer"
        return Response(encode(body), status, headers, MEDIA_TYPE)

    async def _problem(self, request: Request, problem: Exception) -> Response:
        response = self.render(cast("Problem", problem), request.scope)
        if cast("Problem", problem).replayed:
            response.headers["Idempotency-Replayed"] = "true"
        return response

    async def _http(self, request: Request, fault: Exception) -> Response:
        if isinstance(fault, HTTPException) and fault.status_code == MethodNotAllowed.status:
            response = self.render(
                MethodNotAllowed("This address takes other methods; Allow lists them."),
                request.scope,
            )
            response.headers.update(fault.headers or {})
            return response
        return self.render(
            NotFound("Nothing lives at this address. GET /openapi.json lists what does."),
            request.scope,
        )

    async def _gone(self, _: Request, __: Exception) -> Response:
        """Nobody hears this: the client hung up in the middle of its body."""
        return Response(status_code=400)

    async def _fault(self, request: Request, fault: Exception) -> Response:
        # Starlette raises the fault once more after this answer, for the server to log with its traceback.
        self._tell(events.Faulted(type(fault).__name__, request.state.request_id))
        response = self.render(
            InternalError("A fault of this service; its log has the request id."), request.scope
        )
        response.headers["X-Request-Id"] = request.state.request_id  # this answer is made outside the edge
        return response


def rate_limit_headers(limit: RateLimit | None) -> dict[str, str]:
    """RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10)."""
    if limit is None:
        return {}
    return {
        "RateLimit-Policy": f'"{limit.name}";q={limit.quota};w={limit.window}',
        "RateLimit": f'"{limit.name}";r={limit.left};t={limit.reset}',
    }


def encode(body: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    """Compact JSON in UTF-8."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
