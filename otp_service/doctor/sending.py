"""A real message, so that each provider of a route says what it thinks of it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from otp_service import events
from otp_service.dispatch import Wish
from otp_service.doctor.finding import Finding, fail, ok
from otp_service.errors import Problem
from otp_service.phone import parse
from otp_service.service import Seams, build
from otp_service.store.answers import Operation
from otp_service.verification import Outcome, Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from otp_service.settings import Settings


async def send(settings: Settings, app_name: str | None, number: str) -> AsyncIterator[Finding]:
    """Send a real message through an app's route and show each try; its code opens nothing.

    Args:
        settings: What ``examine`` found nothing wrong with.
        app_name: Whose route; may be None where there is one app only.
        number: E.164.
    """
    app = settings.app(app_name)
    tried: list[events.Tried] = []

    def listen(event: object) -> None:
        if isinstance(event, events.Tried):
            tried.append(event)

    service = build(settings, Seams(listener=listen))
    problem: Problem | None = None
    try:
        async with service.running(work=False):
            phone = parse(number)
            wish = Wish(phone, "doctor", Target(phone.e164))
            async with service.verifier.ask(app, wish) as permit:
                made = await service.verifier.start(app, wish, _operation(), permit)
            await service.verifier.cancel(app, made.id, _operation(), test=False)
    except Problem as refusal:
        problem = refusal
    for event in tried:
        took = f"{event.provider}: {event.outcome} {event.reason}".rstrip()
        good = event.outcome == Outcome.ACCEPTED
        yield (ok if good else fail)(f"send to {event.to} through {took}, {event.latency_ms} ms")
    if problem:
        yield fail(f"send: {problem.detail}")


def _operation() -> Operation:
    random = secrets.token_hex(16)
    return Operation(random, random, random)
