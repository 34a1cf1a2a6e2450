"""Says which providers a number would be sent through, in which order, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_service.delivery.breaker import NOWHERE
from otp_service.delivery.provider import Answer
from otp_service.delivery.routing import rule
from otp_service.delivery.sender import sender_for
from otp_service.errors import Blocked
from otp_service.guard import admission
from otp_service.phone import mask, parse
from otp_service.service import Seams, build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_service.events import Event
    from otp_service.phone import Phone
    from otp_service.service import Service
    from otp_service.settings import AppSettings, RouteSettings, RuleSettings, Settings


async def explain(settings: Settings, app_name: str | None, number: str, seams: Seams | None = None) -> str:
    """The order that a start would take now, and the reasons; nothing is sent.

    Args:
        settings: All that ``require_serving`` asks for.
        app_name: Whose route; may be None where there is one app only.
        number: E.164.
        seams: For tests.

    Raises:
        InvalidNumber: No such number exists.
        SettingsError: There is no such app, or this is not the Redis that was meant.
        StoreUnavailable: Redis does not answer.
    """
    phone, app = parse(number), settings.app(app_name)
    service = build(settings, seams or Seams(listener=_ignore))
    async with service.running(work=False):
        return "\n".join(_lines(service, app, phone))


def _lines(service: Service, app: AppSettings, phone: Phone) -> Iterator[str]:
    route = service.settings.routes[app.route]
    yield f"{mask(phone.e164)} is a {phone.line_type.value} number of {phone.region or NOWHERE}"
    try:
        admission.admit(app, phone)
    except Blocked as refusal:
        yield f"app {app.name} refuses it: {refusal.reason}"
    yield f"app {app.name}, route {app.route}: {_matched(route, rule(route, app.name, phone))}; {_how(route)}"
    for place, name in enumerate(service.router.order(route, app.name, phone), 1):
        facts = (
            _sender(service, name, phone),
            _price(service, name, phone),
            _conversion(service, name, phone),
        )
        yield f"{place}. {name}: {', '.join((*facts, _breaker(service, name, phone)))}"


def _matched(route: RouteSettings, found: RuleSettings | None) -> str:
    if found is None:
        return "no rule is for it"
    parts = {"countries": found.countries, "line types": found.line_types, "apps": found.apps}
    for_ = "; ".join(f"{what} {', '.join(sorted(which))}" for what, which in parts.items() if which)
    return f"rule {route.rules.index(found) + 1} ({for_})"


def _how(route: RouteSettings) -> str:
    match route.strategy:
        case "weighted":
            return "weighted, drawn anew for each start; one draw is"
        case "adaptive":
            return f"adaptive, drawn anew for each start ({route.exploration:.0%} evenly); one draw is"
    return "ordered"


def _sender(service: Service, name: str, phone: Phone) -> str:
    section = service.settings.providers.get(name)
    sender = sender_for(phone.region, section) if section else None
    if isinstance(sender, Answer):
        return "no number to send from, which this country asks for"
    return f"from {sender}" if sender else "from the provider's own sender"


def _price(service: Service, name: str, phone: Phone) -> str:
    price = service.router.price(name, phone.region)
    return f"{price.amount} {price.currency}" if price else "no price"


def _conversion(service: Service, name: str, phone: Phone) -> str:
    known = service.learning.conversions.estimate(name, phone.region)
    if not known.sends:
        return "no recent sends"
    return f"{min(1.0, known.approvals / known.sends):.0%} of {known.sends:.1f} recent sends came back"


def _breaker(service: Service, name: str, phone: Phone) -> str:
    states = service.learning.breakers.states()
    country = phone.region or NOWHERE
    for circuit, where in ((name, "everywhere"), (f"{name}:{country}", f"for {country}")):
        if (left := states.get(circuit)) is not None:
            return f"LEFT OUT: breaker open {where}, {_next(left)}"
    return "breaker closed"


def _next(left_ms: int) -> str:
    return f"a probe in {-(-left_ms // 1000)} s" if left_ms else "the next start asks for a probe"


def _ignore(_: Event) -> None:
    """Nobody reads a log of this."""
