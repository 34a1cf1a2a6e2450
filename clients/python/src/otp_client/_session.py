"""A verification that belongs to a browser session: what the app keeps of it, and what the browser is told.

The session keeps the id. A browser cannot name one, so it cannot claim a verification that another passed;
and the number is the one that the service proved, so nothing can be swapped between start and check.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from ._errors import APIError, Closed, InvalidRequest, NotFound, UnexpectedAnswer
from ._results import Check

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from ._errors import OtpError
    from ._results import Verification
    from ._verbs import Autofill, EndUser, Verbs

V = TypeVar("V")
C = TypeVar("C")

log = logging.getLogger("otp_client")


class Step(StrEnum):
    """What a browser can ask for; also the last part of the address that it asks at."""

    START = "start"
    RESEND = "resend"
    CHECK = "check"


# What a person is told. An error that is not among these is the app's or the service's own affair.
TOLD = {
    "malformed_json": "This cannot be read.",
    "payload_too_large": "This is too long.",
    "invalid_request": "This cannot be read.",
    "invalid_number": "This is not a phone number.",
    "invalid_code_format": "This cannot be a code.",
    "blocked": "No code can be sent to this number.",
    "undeliverable": "No code can be sent to this number.",
    "verification_not_found": "Ask for a code first.",
    "verification_closed": "This code no longer counts. Ask for a new one.",
    "throttled": "Not yet. Try again in {wait} seconds.",
    "delivery_failed": "The message could not be sent. Try again.",
}
UNAVAILABLE = (503, "unavailable", "This does not work right now. Try again later.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the browser is told, before the framework makes its own response of it.

    Attributes:
        status: HTTP status.
        body: Of the JSON answer.
        number: The number that was just proved, E.164; None on any other occasion.
        notice: What to show a person whose browser runs no script; empty when all went well.
    """

    status: int
    body: Mapping[str, Any]
    number: str | None = field(default=None, repr=False)
    notice: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the JSON answer."""
        wait = self.body.get("retry_after")
        return {"Cache-Control": "no-store"} | ({} if wait is None else {"Retry-After": str(wait)})


@dataclass(frozen=True, slots=True)
class Held:
    """One session's verification for one purpose.

    Args:
        session: The framework's; what is put into it comes back with the next request of this browser.
        purpose: What the code is for; a verification for another purpose is not seen here.
        number: E.164, where the app knows whom to ask; None to take what the browser posts.
        address: The browser's.
        autofill: What lets the phone fill in the code.
    """

    session: MutableMapping[str, Any]
    purpose: str
    number: str | None
    address: str | None
    autofill: Autofill | None

    @property
    def pending(self) -> bool:
        """Whether a code was sent and may still be checked."""
        return self._key in self.session

    def ask(self, client: Verbs[V, C], step: Step, posted: Mapping[str, object]) -> V | C:
        """The call that a step is; a coroutine where the client's verbs are.

        Args:
            client: Either client.
            step: What the browser wants.
            posted: Its form, or its JSON.

        Raises:
            OtpError: From the call, or because there is nothing that could be sent.
        """
        if step is Step.START:
            return client.start(
                self.number or _text(posted, "to", "invalid_number"),
                region=None if self.number else _optional(posted, "region"),
                locale=_optional(posted, "locale"),
                purpose=self.purpose,
                autofill=self.autofill,
                client=self._end_user(),
            )
        if not self.pending:
            raise NotFound(404, "verification_not_found")
        if step is Step.RESEND:
            return client.resend(self.session[self._key])
        code = _text(posted, "code", "invalid_code_format")
        return client.check(self.session[self._key], code, purpose=self.purpose)

    def told(self, step: Step, outcome: Verification | Check) -> Answer:
        """The answer to a step that went well.

        Raises:
            NotFound: The code was right, but for a number that is no longer the one to ask.
            UnexpectedAnswer: The proof names no number.
        """
        if isinstance(outcome, Check):
            return self._checked(outcome)
        self.session[self._key] = outcome.id
        names = ("status", "next_send_in", "checks_left", "sends_left", "expires_in")
        return Answer(201 if step is Step.START else 200, {name: getattr(outcome, name) for name in names})

    def refused(self, error: OtpError) -> Answer:
        """The answer to a step that did not."""
        if isinstance(error, NotFound) or (
            isinstance(error, Closed) and error.verification_status != "pending"
        ):
            self._forget()
        if isinstance(error, APIError) and error.code in TOLD:
            detail = TOLD[error.code].format(wait=error.retry_after or "some")
            status, code = error.status, error.code
        else:
            log.error("a verification failed: %s", error)
            status, code, detail = UNAVAILABLE
        body: dict[str, Any] = {"code": code, "detail": detail}
        if error.retry_after is not None:
            body["retry_after"] = error.retry_after
        if isinstance(error, Closed):
            body |= {"checks_left": 0, "verification_status": error.verification_status}
        return Answer(status, body, notice=detail)

    def _checked(self, check: Check) -> Answer:
        if check.status != "pending":
            self._forget()
        if check and not check.number:
            raise UnexpectedAnswer(200)
        if check and self.number and check.number != self.number:
            # Started for somebody else: whoever logs in as two people must not use one's phone for the other.
            log.warning("a right code, but not for the number that the app gave; was that one in E.164?")
            raise NotFound(404, "verification_not_found")
        body = {"approved": check.approved, "checks_left": check.checks_left, "status": check.status}
        notice = "" if check else f"Wrong code. Attempts left: {check.checks_left}."
        return Answer(200, body, check.number, notice)

    def _forget(self) -> None:
        self.session.pop(self._key, None)

    def _end_user(self) -> EndUser:
        # A name for the session that opens nothing, unlike the app's own.
        end_user: EndUser = {"session": self.session.setdefault("otp_session", secrets.token_urlsafe(16))}
        if self.address:
            end_user["ip"] = self.address
        return end_user

    @property
    def _key(self) -> str:
        return f"otp:{self.purpose}"  # a colon, which no purpose has: none can name another entry


def wants_json(content_type: str | None, accept: str | None) -> bool:
    """Whether a script has posted this, and not a plain form."""
    return (content_type or "").startswith("application/json") or "application/json" in (accept or "")


def _optional(posted: Mapping[str, object], name: str) -> str | None:
    value = posted.get(name)
    return value if isinstance(value, str) and value else None


def _text(posted: Mapping[str, object], name: str, code: str) -> str:
    value = _optional(posted, name)
    if value is None:
        raise InvalidRequest(422, code)
    return value
