"""The verbs of the native API."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import APIRouter, Request, Response

from otp_service import codes, messages
from otp_service.dispatch import Wish
from otp_service.errors import UnsupportedChannel, VerificationNotFound
from otp_service.http import body as bodies
from otp_service.http.auth import authenticated
from otp_service.http.documents import (
    CheckIn,
    CheckOut,
    NothingIn,
    StartIn,
    VerificationOut,
    problems,
    takes,
)
from otp_service.http.idempotency import Answer
from otp_service.http.problems import encode, rate_limit_headers
from otp_service.phone import parse
from otp_service.verification import Channel, Status, Target, Transaction, VerificationId
from otp_service.verifier import Guess

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container

    from otp_service.http.auth import Caller
    from otp_service.http.body import Body
    from otp_service.http.idempotency import Idempotency
    from otp_service.http.problems import Problems
    from otp_service.store.answers import Operation
    from otp_service.verification import Check, Delivery, Verification
    from otp_service.verifier import Verifier

    _Model = TypeVar("_Model", bound=Body)


class Verifications:
    """The routes under ``/v1/verifications``.

    Args:
        verifier: Does what the verbs ask.
        idempotency: Does it once.
        shown: How problems look.
    """

    def __init__(self, verifier: Verifier, idempotency: Idempotency, shown: Problems) -> None:
        self._verifier = verifier
        self._idempotency = idempotency
        self._shown = shown

    def router(self) -> APIRouter:
        """Every verb with what it takes and answers."""
        routes = APIRouter(prefix="/v1/verifications", tags=["verifications"])
        post = partial(routes.add_api_route, methods=["POST"])
        post(
            "/start",
            self.start,
            status_code=201,
            response_model=VerificationOut,
            response_description="The verification; a provider has accepted the message.",
            operation_id="start",
            responses=problems(400, 401, 403, 409, 413, 415, 422, 429, 502, 503),
            openapi_extra=takes(StartIn),
        )
        post(
            "/{verification_id}/resend",
            self.resend,
            response_model=VerificationOut,
            response_description="The verification, with the new send among its deliveries.",
            operation_id="resend",
            responses=problems(400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 502, 503),
            openapi_extra=takes(NothingIn, required=False),
        )
        post(
            "/{verification_id}/check",
            self.check,
            response_model=CheckOut,
            response_description="What the guess came to; a wrong code is a result.",
            operation_id="check",
            responses=problems(400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 503),
            openapi_extra=takes(CheckIn),
        )
        post(
            "/{verification_id}/cancel",
            self.cancel,
            response_model=VerificationOut,
            response_description="The verification, canceled.",
            operation_id="cancel",
            responses=problems(400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 503),
            openapi_extra=takes(NothingIn, required=False),
        )
        routes.add_api_route(
            "/{verification_id}",
            self.fetch,
            response_model=VerificationOut,
            response_description="The verification as it stands.",
            operation_id="fetch",
            responses=problems(401, 403, 404, 429, 503),
        )
        return routes

    async def start(self, request: Request) -> Response:
        """Send a code to a number."""
        caller, body, asked = await _read(request, StartIn)
        numbers = self._verifier.test_numbers(caller.app, test=caller.test)
        wish = _wish(asked, numbers, test=caller.test)
        async with self._verifier.ask(caller.app, wish) as permit:

            async def run(operation: Operation) -> Answer:
                return _shown(201, await self._verifier.start(caller.app, wish, operation, permit))

            return await self._once(request, caller, body, run)

    async def resend(self, request: Request, verification_id: str) -> Response:
        """Send a new code; earlier live codes stay valid."""
        caller, body, _ = await _read(request, NothingIn, optional=True)

        async def run(operation: Operation) -> Answer:
            id_ = _id(verification_id)
            return _shown(200, await self._verifier.resend(caller.app, id_, operation, test=caller.test))

        return await self._once(request, caller, body, run)

    async def check(self, request: Request, verification_id: str) -> Response:
        """Guess the code; of any number of right guesses exactly one is approved."""
        caller, body, asked = await _read(request, CheckIn)

        async def run(operation: Operation) -> Answer:
            guess = Guess(asked.purpose, _said(asked), codes.clean(asked.code))
            id_ = _id(verification_id)
            checked = await self._verifier.check(caller.app, id_, guess, operation, test=caller.test)
            return Answer(200, _check(checked), keep=False, replayed=checked.replayed)

        return await self._once(request, caller, body, run)

    async def cancel(self, request: Request, verification_id: str) -> Response:
        """Close a pending verification."""
        caller, body, _ = await _read(request, NothingIn, optional=True)

        async def run(operation: Operation) -> Answer:
            id_ = _id(verification_id)
            return _shown(200, await self._verifier.cancel(caller.app, id_, operation, test=caller.test))

        return await self._once(request, caller, body, run)

    async def fetch(self, request: Request, verification_id: str) -> Response:
        """Read a verification with its deliveries."""
        caller = authenticated(request.state.caller)
        caller.require("read", "verify")
        verification = await self._verifier.fetch(caller.app, _id(verification_id), test=caller.test)
        return self._response(request, _shown(200, verification))

    async def _once(
        self, request: Request, caller: Caller, body: bytes, run: Callable[[Operation], Awaitable[Answer]]
    ) -> Response:
        """Run a verb once, and show what came of it."""
        answer = await self._idempotency.once(
            f"{caller.app.name}:test" if caller.test else caller.app.name,
            request.headers.get("idempotency-key"),
            request.url.path,
            body,
            run,
        )
        return self._response(request, answer)

    def _response(self, request: Request, answer: Answer) -> Response:
        headers = answer.headers | ({"Idempotency-Replayed": "true"} if answer.replayed else {})
        if "code" in answer.body:  # a problem that was kept
            return self._shown.answer(answer.status, answer.body, request.state.request_id, headers)
        return Response(encode(answer.body), answer.status, headers, "application/json")


async def _read(
    request: Request, model: type[_Model], *, optional: bool = False
) -> tuple[Caller, bytes, _Model]:
    """Read, authenticate and check a request, in the contract's order."""
    body = await bodies.read(request)
    caller = authenticated(request.state.caller)
    caller.require("verify")
    return caller, body, bodies.parse(request, body, model, optional=optional)


def _id(text: str) -> VerificationId:
    found = VerificationId.parse(text)
    if found is None:
        raise VerificationNotFound
    return found


def _wish(body: StartIn, known: Container[str], *, test: bool) -> Wish:
    if body.channel not in {channel.value for channel in Channel}:
        detail = "The only channel is sms."
        raise UnsupportedChannel(detail, errors=({"pointer": "/channel", "detail": detail},))
    paid = body.transaction
    target = Target(
        to=(phone := parse(body.to, body.region, known)).e164,
        locale=body.locale,
        autofill=body.autofill or None,
        transaction=messages.read_transaction(paid.payee, paid.amount) if paid else None,
        metadata=body.metadata,
        test=test,
    )
    client = body.client
    session, address = (client.session, client.ip) if client else (None, None)
    return Wish(phone, body.purpose, target, session, address)


def _said(guess: CheckIn) -> Transaction | None:
    """The transaction as claimed: one that differs is a wrong code, whatever is wrong with it."""
    said = guess.transaction
    if said is None:
        return None
    return Transaction(*(unicodedata.normalize("NFC", text) for text in (said.payee, said.amount)))


def _shown(status: int, verification: Verification) -> Answer:
    body = {
        "id": str(verification.id),
        "status": verification.status.value,
        "to": verification.target.to,
        "channel": Channel.SMS.value,
        "purpose": verification.purpose,
        "created_at": _time(verification.created_ms),
        "expires_at": _time(verification.expires_ms),
        "expires_in": _seconds(verification, verification.expires_ms),
        "checks_left": verification.checks_left,
        "sends_left": verification.sends_left,
        "next_send_in": _seconds(verification, verification.next_send_ms),
        "deliveries": [_delivery(delivery) for delivery in verification.deliveries],
        "metadata": dict(verification.target.metadata),
    }
    return Answer(status, body, rate_limit_headers(verification.limit), replayed=verification.replayed)


def _check(checked: Check) -> dict[str, Any]:
    body = {
        "id": str(checked.id),
        "status": checked.status.value,
        "approved": checked.approved,
        "checks_left": checked.checks_left,
    }
    return body | ({"proof": checked.proof} if checked.proof else {})


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "provider": delivery.provider,
        "outcome": delivery.outcome.value,
        "reason": delivery.reason,
        "segments": delivery.segments,
        "latency_ms": delivery.latency_ms,
        "at": _time(delivery.at),
        "receipt": delivery.receipt.value if delivery.receipt else None,
    }


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(verification: Verification, moment_ms: int) -> int:
    """Whole seconds until a moment, rounded up; nothing is to come once a verification is over."""
    if verification.status is not Status.PENDING:
        return 0
    return max(0, -(-(moment_ms - verification.now_ms) // 1000))
