"""Takes one code to one number: the text, the order of providers, the tries, and what they come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otp_service import events
from otp_service.codes import MAX_LENGTH
from otp_service.delivery import routing
from otp_service.delivery.chain import Circuits
from otp_service.delivery.provider import Message
from otp_service.errors import Blocked, DeliveryFailed, Undeliverable
from otp_service.phone import parse
from otp_service.segments import segments
from otp_service.verification import Outcome, Try

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from otp_service.delivery.chain import Chain
    from otp_service.delivery.learning import Learning
    from otp_service.delivery.receipts import ReceiptUrls
    from otp_service.delivery.routing import Router
    from otp_service.errors import Problem
    from otp_service.events import Listener
    from otp_service.messages import Templates
    from otp_service.phone import Phone
    from otp_service.settings import AppSettings, RouteSettings
    from otp_service.store.records import Record
    from otp_service.verification import Delivery, Target, VerificationId

INBOX: Final = "console"
"""The provider that keeps messages instead of sending them; all that a test key can reach."""

RECORDING_SECONDS: Final = 2
"""Time after the last try to write down what came of it."""


class Courier:
    """Everything between a code and the phone.

    Args:
        chain: The providers.
        receipt_urls: Where they report.
        routes: By name.
        router: Orders the providers of a route.
        learning: Hears how providers do; nothing of what test keys send.
        templates: By app.
        credentials: What each provider's account is opened with, to be kept out of the log.
        tell: Hears of every try.
    """

    def __init__(
        self,
        chain: Chain,
        receipt_urls: ReceiptUrls,
        routes: Mapping[str, RouteSettings],
        router: Router,
        learning: Learning,
        templates: Mapping[str, Templates],
        credentials: Mapping[str, Collection[str]],
        tell: Listener,
    ) -> None:
        self._chain = chain
        self._receipt_urls = receipt_urls
        self._routes = routes
        self._router = router
        self._learning = learning
        self._templates = templates
        self._credentials = credentials
        self._tell = tell

    def preview(self, app: AppSettings, phone: Phone, target: Target) -> int:
        """Write the message with the longest code, so that what is wrong with it shows before it costs.

        Returns:
            How many segments it takes at most.

        Raises:
            InvalidRequest: There is no such text, or it is too long.
        """
        return segments(self._text(app, phone, target, "0" * MAX_LENGTH)).count

    def providers(self, app: AppSettings, phone: Phone) -> Sequence[str]:
        """All that a message may go through."""
        return routing.providers(self._routes[app.route], app.name, phone)

    def lease_ms(self, app: AppSettings) -> int:
        """How long a send may take before another run of the same operation goes on with it."""
        return round((self._routes[app.route].deadline_seconds + RECORDING_SECONDS) * 1000)

    def order(self, app: AppSettings, phone: Phone, target: Target, used: Collection[str]) -> list[str]:
        """The providers for a number, those used before last."""
        if target.test:
            return [INBOX]
        return self._router.order(self._routes[app.route], app.name, phone, used)

    async def deliver(
        self,
        app: AppSettings,
        id_: VerificationId,
        record: Record,
        phone: Phone,
        target: Target,
        code: str,
        order: Sequence[str],
    ) -> list[Delivery]:
        """Try the providers in order, and say what each answered."""
        text = self._text(app, phone, target, code)
        seconds_left = (record.created_ms + record.ttl_ms - record.now_ms) // 1000

        def compose(attempt: int, provider: str) -> Message:
            this = Try(id_, record.sends, attempt)
            token = self._receipt_urls.token(provider, this)
            return Message(
                to=phone.e164,
                region=phone.region,
                text=text,
                expires_in=max(1, seconds_left),
                attempt=this.name,
                receipt_url=self._receipt_urls.url(provider, token),
                token=token,
            )

        tries = await self._chain.deliver(
            order,
            compose,
            deadline=self._routes[app.route].deadline_seconds,
            began_ms=record.now_ms,
            segments=segments(text).count,
            circuits=None if target.test else Circuits(self._learning.breakers, phone.region),
        )
        if not target.test:
            self._learning.tried(phone.region, [delivery for delivery, _ in tries])
        for delivery, answer in tries:
            known = self._credentials.get(delivery.provider, ())
            self._tell(events.Tried.of(app.name, str(id_), phone.e164, delivery, answer, known))
        return [delivery for delivery, _ in tries]

    def came_back(self, id_: VerificationId, target: Target, newer: int) -> None:
        """Credit a code that came back to the provider that carried it.

        Args:
            id_: Whose code.
            target: Who got it.
            newer: How many of the live codes were newer.
        """
        if not target.test:
            self._learning.approved(id_, parse(target.to).region, newer)

    def _text(self, app: AppSettings, phone: Phone, target: Target, code: str) -> str:
        return self._templates[app.name].render(
            code, target.locale, phone.region, target.transaction, target.autofill
        )


def verdict(deliveries: Sequence[Delivery], opened: str | None) -> Problem | None:
    """What the tries mean to the caller; None when the person may have a message.

    Args:
        deliveries: Every try, in order.
        opened: The id of a verification that was opened for this.
    """
    outcomes = {delivery.outcome for delivery in deliveries}
    if Outcome.ACCEPTED in outcomes:
        return None
    if Outcome.UNDELIVERABLE in outcomes:
        return Undeliverable("Nobody can reach this number. Ask for another one.", verification_id=opened)
    if Outcome.BLOCKED in outcomes:
        return Blocked(
            "A provider refused this message as fraud.", reason="refused_by_provider", verification_id=opened
        )
    if Outcome.UNKNOWN in outcomes:
        return None
    return DeliveryFailed(
        "No provider took the message. Try again later; the deliveries say what each answered.",
        verification_id=opened,
    )
