"""Pages for people: what an error code means, and the API's reference. No script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from otp_service import errors
from otp_service.errors import NotFound, Problem
from otp_service.http import reference

if TYPE_CHECKING:
    from collections.abc import Callable

MEANINGS: Final[dict[type[Problem], tuple[str, str]]] = {
    errors.MalformedJson: (
        (
            "The body is not JSON, or is JSON that two readers could read differently: a key twice, a lone "
            "surrogate, a NUL, NaN."
        ),
        "Let a JSON library write the body, in UTF-8.",
    ),
    errors.Unauthenticated: (
        "The API key is missing, unknown or revoked. The answer is the same for all three.",
        "Send `Authorization: Bearer` and the whole key. `otp-service keys create` makes a new one.",
    ),
    errors.Forbidden: (
        "The API key lacks the scope of this call; or a receipt's signature is not the provider's.",
        "Use a key that has the scope: `verify` for every call that changes something, `read` to read.",
    ),
    errors.Blocked: (
        "A rule of this service, or a provider, refused to send. Nothing was sent and nothing was charged.",
        (
            "Read `reason`: `country_not_allowed` and `number_type` are the app's own settings. Do not try "
            "again unchanged."
        ),
    ),
    errors.NotFound: (
        "Nothing lives at this address.",
        "Compare the path with the reference.",
    ),
    errors.MethodNotAllowed: (
        "Something lives at this address, but not under this method.",
        "Use one of the methods in the `Allow` header.",
    ),
    errors.VerificationNotFound: (
        "No verification of this app has this id. One of another app gets the same answer.",
        "Check that the id is whole and the key is of the app that started it. Ids are kept for a day.",
    ),
    errors.IdempotencyInProgress: (
        "The first request with this `Idempotency-Key` is still at work.",
        "Wait for as long as `Retry-After` says, then repeat the same request to get its answer.",
    ),
    errors.VerificationClosed: (
        "The verification is no longer pending. `verification_status` says why.",
        "If it is `approved`, somebody has been let in already. Otherwise start a new one.",
    ),
    errors.PayloadTooLarge: (
        "The body is larger than 16 KiB, or a receipt larger than 1 MiB.",
        "Send only what the call takes; metadata is for short strings.",
    ),
    errors.UnsupportedMediaType: (
        "The body is not declared as JSON.",
        "Send `Content-Type: application/json`.",
    ),
    errors.InvalidRequest: (
        "The body is JSON, but not what this call takes.",
        "`errors` holds a JSON pointer to each fault and what is wrong there.",
    ),
    errors.InvalidNumber: (
        "What was given is not a phone number that a message can be sent to.",
        "Send E.164 such as `+37256789045`, or a national number with its region.",
    ),
    errors.InvalidCodeFormat: (
        "What was given cannot be a code of this verification. No check was spent.",
        "Let the person type it again; the code is in the latest message.",
    ),
    errors.UnsupportedChannel: (
        "This service does not send through that channel.",
        "Leave `channel` out, or send `sms`.",
    ),
    errors.IdempotencyMismatch: (
        "This `Idempotency-Key` was used before, with another path or body.",
        "Make a new key for each new request; repeat one only with the very same request.",
    ),
    errors.Undeliverable: (
        "A provider says that nobody can reach this number.",
        "Ask the person for another number. Do not try again with this one.",
    ),
    errors.Throttled: (
        "A budget or the cool-down says not yet. `reason` names it.",
        "Wait for as long as `Retry-After` says. Show the person `next_send_in` instead of letting them try.",
    ),
    errors.InternalError: (
        "A fault of this service.",
        "Repeat the request with the same `Idempotency-Key`. Give the operator its `request_id`.",
    ),
    errors.DeliveryFailed: (
        "No provider of the route took the message. The person has nothing.",
        (
            "Try again later with a new `Idempotency-Key`; the deliveries of the verification say what each "
            "provider answered."
        ),
    ),
    errors.StoreUnavailable: (
        "Redis did not answer in time, or what it holds needs a key that is not in the ring here.",
        "Repeat the request with the same `Idempotency-Key` after `Retry-After`. Operators: see the log.",
    ),
    errors.Overloaded: (
        "The service is at its limit. Nothing was counted and nothing was sent.",
        "Repeat the request with the same `Idempotency-Key` after `Retry-After`.",
    ),
}
"""Every code: what it means, and what to do."""


def router(document: Callable[[], dict[str, Any]]) -> APIRouter:
    """``/errors/{code}``, where the ``type`` of a problem leads, and ``/docs``.

    Args:
        document: The OpenAPI document, once every route is there.
    """
    routes = APIRouter(include_in_schema=False)
    explained = {problem.code: _explained(problem, *said) for problem, said in MEANINGS.items()}
    docs = cache(lambda: _page("API reference", reference.body(document(), explained)))

    @routes.get("/errors/{code}")
    async def error(code: str) -> HTMLResponse:
        if code not in explained:
            raise NotFound("There is no such error code. GET /docs lists them.")
        return _answer(explained[code])

    @routes.get("/docs")
    async def docs_page() -> HTMLResponse:
        return _answer(docs())

    return routes


def _explained(problem: type[Problem], meaning: str, remedy: str) -> str:
    return _page(
        problem.title,
        f"<h1>{escape(problem.title)}</h1>\n"
        f'<p class="faint">{problem.status} <code>{problem.code}</code></p>\n'
        f"<h2>What it means</h2>\n<p>{reference.prose(meaning)}</p>\n"
        f"<h2>What to do</h2>\n<p>{reference.prose(remedy)}</p>\n"
        '<nav><a href="../docs">API reference</a></nav>',
    )


def _page(title: str, body: str) -> str:
    return _FRAME.substitute(title=escape(title), body=body)


def _answer(page: str) -> HTMLResponse:
    return HTMLResponse(page, headers=_HEADERS)


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


_FRAME: Final = Template(files("otp_service.http").joinpath("page.html").read_text("utf-8"))
_STYLE: Final = re.findall("<style>(.*?)</style>", _FRAME.template, re.DOTALL)[0]
_HEADERS: Final = {
    "Cache-Control": "public, max-age=300",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_digest(_STYLE)}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
