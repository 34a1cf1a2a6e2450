"""A blueprint for Flask: start, resend and check for the browser's session. Needs ``otp-client[flask]``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, flash, jsonify, redirect, request, session, url_for

from ._errors import OtpError
from ._session import Held, Step, wants_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from werkzeug.wrappers import Response

    from ._clients import Client
    from ._verbs import Autofill

__all__ = ["VerificationBlueprint"]


class VerificationBlueprint(Blueprint):
    """``POST start``, ``resend`` and ``check``; the page with the forms is the app's.

    A script is answered with JSON, a plain form with a redirect, and ``flash`` where something went wrong.

    Args:
        name: Of the blueprint, and the purpose of its verifications.
        client: One for the whole process.
        page: Endpoint where a plain form leads back to.
        done: Endpoint where an approved plain form leads.
        approved: Called with the number that was just proved, E.164, within the request: log in, or save it.
        number: Gives the E.164 number to ask, where the app knows the person, as at a login; without it the
            browser says.
        autofill: What lets the phone fill in the code.
    """

    def __init__(
        self,
        name: str,
        client: Client,
        *,
        page: str,
        done: str,
        approved: Callable[[str], object],
        number: Callable[[], str] | None = None,
        autofill: Autofill | None = None,
    ) -> None:
        super().__init__(name, __name__)
        self._client = client
        self._page = page
        self._done = done
        self._approved = approved
        self._number = number
        self._autofill = autofill
        for step in Step:
            self.add_url_rule(f"/{step}", step, self._take, methods=["POST"], defaults={"step": step})

    @property
    def pending(self) -> bool:
        """Whether a code was sent, so that the page asks for it."""
        return self._held(None).pending

    def _take(self, step: Step) -> Response:
        held = self._held(self._number() if self._number else None)
        try:
            answer = held.told(step, held.ask(self._client, step, _posted()))
        except OtpError as error:
            answer = held.refused(error)
        if answer.number:
            self._approved(answer.number)
        if wants_json(request.content_type, request.headers.get("Accept")):
            response = jsonify(answer.body)
            response.status_code = answer.status
            response.headers.update(answer.headers)
            return response
        if answer.notice:
            flash(answer.notice)
        return redirect(url_for(self._done if answer.number else self._page), 303)

    def _held(self, number: str | None) -> Held:
        return Held(session, self.name, number, request.remote_addr, self._autofill)


def _posted() -> Mapping[str, object]:
    posted = request.get_json(silent=True) if request.is_json else request.form
    return posted if isinstance(posted, dict) else {}
