"""The operator's own word before a send: SIM swaps, devices, rules that nobody else can know.

An endpoint is asked with a POST, signed as https://www.standardwebhooks.com says, of ``{"app", "to",
"region", "line_type", "purpose", "client": {"ip", "session"}}``; a resend knows no client, so both are null.
It answers 2xx and ``{"decision": "allow"}`` or ``{"decision": "deny", "reason": "sim_swap"}``. Anything else,
and no answer in time, is no decision: then the setting ``fail`` decides.

It is asked after the budgets have let the send pass, not beside them: a SIM swap look-up costs money too, and
nobody pays for an attack.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otp_service import events
from otp_service.delivery.answers import document
from otp_service.delivery.provider import Answer
from otp_service.delivery.standard_webhooks import StandardWebhooks
from otp_service.errors import Overloaded
from otp_service.guard.admission import denied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otp_service.delivery.transport import Endpoint, Transport
    from otp_service.events import Listener
    from otp_service.phone import Phone
    from otp_service.settings import AppSettings, SignalSettings

_REASON: Final = re.compile(r"[a-z][a-z_]{0,39}")
"""A word of the endpoint's own; digits could be the number."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one send.

    Args:
        app: Whose.
        phone: To whom.
        purpose: What the code will be good for.
        address: The client's IP address; None for none, and for every send but a start.
        session: The caller's name for its client's session, likewise.
    """

    app: AppSettings
    phone: Phone
    purpose: str
    address: str | None = field(default=None, repr=False)
    session: str | None = field(default=None, repr=False)


class Signals:
    """The endpoints of all apps.

    Args:
        apps: Those that may have one of their own.
        usual: For the others; None for none.
        transport: Where the calls go out.
        tell: Hears of every denial, and of every question without an answer.
        random: Returns that many random bytes.
        now: Seconds since 1970.
    """

    def __init__(
        self,
        apps: Iterable[AppSettings],
        usual: SignalSettings | None,
        transport: Transport,
        tell: Listener,
        random: Callable[[int], bytes],
        now: Callable[[], float] = time.time,
    ) -> None:
        found = {app.name: app.signals or usual for app in apps}
        self._settings = {name: settings for name, settings in found.items() if settings}
        self._endpoints = {
            name: transport.endpoint(settings.url, timeout=settings.timeout_ms / 1000)
            for name, settings in self._settings.items()
        }
        self._tell = tell
        self._random = random
        self._now = now

    def asks(self, app: AppSettings) -> bool:
        """Whether there is an endpoint for an app."""
        return app.name in self._settings

    def longest_ms(self, app: AppSettings) -> int:
        """How long a question of this app can take."""
        settings = self._settings.get(app.name)
        return settings.timeout_ms if settings else 0

    async def ask(self, question: Question) -> None:
        """Let pass what the endpoint of its app lets pass.

        Raises:
            Blocked: ``denied``.
            Overloaded: It gave no decision, and fails closed.
        """
        app, number = question.app.name, question.phone.e164
        settings = self._settings[app]
        decision, reason = await self._decision(settings, self._endpoints[app], question)
        if decision == "deny":
            self._tell(events.SendRefused.of(app, number, "signals", reason, "", enforced=True))
            raise denied()
        if decision != "allow":
            self._tell(events.SignalsSilent(app, reason, settings.fail))
            if settings.fail == "closed":
                raise Overloaded(
                    "What must be asked before a send gave no answer. Nothing was sent; try again.",
                    retry_after=1,
                )

    async def _decision(
        self, settings: SignalSettings, endpoint: Endpoint, question: Question
    ) -> tuple[str, str]:
        """The decision and its reason; or none, and why."""
        body = json.dumps(_fields(question)).encode()
        webhooks = StandardWebhooks(settings.secret)
        headers = webhooks.headers(f"msg_{self._random(12).hex()}", int(self._now()), body)
        response = await endpoint.post(content=body, headers={"content-type": "application/json", **headers})
        if isinstance(response, Answer):
            return "", response.reason
        said = document(response) if response.is_success else {}
        if said.get("decision") not in ("allow", "deny"):
            return "", f"http_{response.status_code}"
        reason = str(said.get("reason"))
        return said["decision"], reason if _REASON.fullmatch(reason) else "unnamed"


def _fields(question: Question) -> dict[str, object]:
    return {
        "app": question.app.name,
        "to": question.phone.e164,
        "region": question.phone.region or None,
        "line_type": question.phone.line_type.value,
        "purpose": question.purpose,
        "client": {"ip": question.address, "session": question.session},
    }
