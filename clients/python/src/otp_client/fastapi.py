"""A dependency for FastAPI: the verification of the browser's session. Needs ``otp-client[fastapi]``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fastapi import Depends, Request
from starlette.responses import Response

from ._errors import OtpError
from ._session import Held, Step, wants_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ._clients import AsyncClient
    from ._verbs import Autofill

__all__ = ["SessionVerification", "StepResponse", "session_verification"]


class StepResponse(Response):
    """What the browser is told of a step: return it, after acting on an approval.

    Attributes:
        number: The number that was just proved, E.164; None unless this was the right code.
    """

    number: str | None = None


class SessionVerification:
    """What the dependency gives to a route; made by ``session_verification``.

    A script is answered with JSON, a plain form with a redirect.
    """

    def __init__(self, client: AsyncClient, request: Request, held: Held, page: str, done: str) -> None:
        self._client = client
        self._request = request
        self._held = held
        self._page = page
        self._done = done

    @property
    def pending(self) -> bool:
        """Whether a code was sent, so that the page asks for it."""
        return self._held.pending

    def notice(self) -> str:
        """What went wrong with the form that led back here, once; empty when nothing did."""
        return str(self._request.session.pop("otp_notice", ""))

    async def start(self) -> StepResponse:
        """Sends a code to the app's number, else to the posted ``to`` (with ``region`` and ``locale``)."""
        return await self._take(Step.START)

    async def resend(self) -> StepResponse:
        """Sends another code."""
        return await self._take(Step.RESEND)

    async def check(self) -> StepResponse:
        """Checks the posted ``code``."""
        return await self._take(Step.CHECK)

    async def _take(self, step: Step) -> StepResponse:
        try:
            call = self._held.ask(self._client, step, await self._posted())
            answer = self._held.told(step, await call)
        except OtpError as error:
            answer = self._held.refused(error)
        headers = self._request.headers
        if wants_json(headers.get("content-type"), headers.get("accept")):
            body = json.dumps(dict(answer.body))
            response = StepResponse(body, answer.status, answer.headers, "application/json")
        else:
            self._request.session["otp_notice"] = answer.notice
            page = self._done if answer.number else self._page
            response = StepResponse(status_code=303, headers={"Location": page})
        response.number = answer.number
        return response

    async def _posted(self) -> Mapping[str, object]:
        if not self._request.headers.get("content-type", "").startswith("application/json"):
            return await self._request.form()
        try:
            posted: object = await self._request.json()
        except ValueError:
            return {}
        return posted if isinstance(posted, dict) else {}


def session_verification(
    client: AsyncClient,
    *,
    purpose: str,
    page: str,
    done: str,
    number: Callable[..., Any] | None = None,
    autofill: Autofill | None = None,
) -> Callable[..., SessionVerification]:
    """The dependency: ``Annotated[SessionVerification, Depends(session_verification(…))]``.

    Needs Starlette's ``SessionMiddleware``, or another that fills ``request.session``.

    Args:
        client: One for the whole process.
        purpose: What the code is for; one session can hold one verification of each.
        page: Where a plain form leads back to.
        done: Where an approved plain form leads.
        number: A dependency that gives the E.164 number to ask, where the app knows the person, as at a
            login; without it the browser says.
        autofill: What lets the phone fill in the code.
    """

    def nobody() -> None:
        return None

    def depend(
        request: Request,
        known: str | None = Depends(number or nobody),
    ) -> SessionVerification:
        address = request.client.host if request.client else None
        held = Held(request.session, purpose, known, address, autofill)
        return SessionVerification(client, request, held, page, done)

    return depend
