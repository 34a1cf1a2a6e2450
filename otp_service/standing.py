"""Why a number is sent to, or not: every rule with its figure and its limit; nothing changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otp_service.delivery import routing
from otp_service.desk import until
from otp_service.errors import Blocked
from otp_service.guard import admission, budgets
from otp_service.guard.spend import MICRO
from otp_service.guard.subjects import CONVERTING, INSTALLATION, VERIFIED, Send, trusted
from otp_service.phone import block, mask, parse
from otp_service.registry import located
from otp_service.store.answers import seconds
from otp_service.store.keys import Events
from otp_service.store.numbers import Numbers
from otp_service.store.store import FAILURES_IN_ROW
from otp_service.verification import VerificationId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from otp_service.phone import Phone
    from otp_service.service import Service
    from otp_service.settings import AppSettings
    from otp_service.store.ledgers import Figures, Ledger

PASSES: Final = "passes"
REFUSES: Final = "REFUSES"


@dataclass(frozen=True, slots=True)
class Line:
    """One rule.

    Args:
        rule: What it is called.
        figure: What is so, or is counted.
        limit: What may be.
        verdict: Whether it would let a start pass now.
    """

    rule: str
    figure: str
    limit: str
    verdict: str = PASSES


async def why(service: Service, app: AppSettings, text: str) -> AsyncIterator[Line]:
    """Every rule that a start for a number would meet, but those about the client that asks for it.

    Args:
        service: Open.
        app: Whose start.
        text: E.164.

    Raises:
        InvalidNumber: No such number exists.
    """
    phone = parse(text)
    for line in (*_locks(service, phone), *_admission(service, app, phone)):
        yield line
    shard, number = located(service.keyring, phone.e164)
    own = Events(app.name, VerificationId.of(shard))
    rows = budgets.of_start(app, service.settings.limits.sends_per_number, own)
    standing = await Numbers(service.scripts, service.client).standing(shard, number, app.name, rows)
    for tally in standing.tallies:
        verdict = f"{REFUSES} for {seconds(tally.wait_ms)} s" if tally.counted >= tally.limit else PASSES
        limit = f"{tally.limit} in {_span(tally.window_ms)}"
        yield Line(tally.budget, str(tally.counted), limit, verdict)
    closed = f"{REFUSES} for {seconds(standing.closed_ms)} s" if standing.closed_ms else PASSES
    yield Line("failed_checks_in_a_row", str(standing.row), str(FAILURES_IN_ROW), closed)
    for line in await _ledgers(service, app, phone, number):
        yield line


def _locks(service: Service, phone: Phone) -> Iterator[Line]:
    found = [*service.locks.all_of(phone)]
    for shown, lock in found:
        figure = f"{shown or mask(phone.e164)} {until(lock.until_ms)}"
        yield Line("locked", f"{figure}: {lock.reason}" if lock.reason else figure, "", REFUSES)
    if not found:
        yield Line("locked", "no", "")


def _admission(service: Service, app: AppSettings, phone: Phone) -> Iterator[Line]:
    guard = service.settings.guard
    try:
        admission.admit(app, phone, guard.deny)
        reason = None
    except Blocked as refusal:
        reason = refusal.reason
    denied = _prefix(phone, guard.deny)
    yield Line("denied", denied or "no", "", REFUSES if denied else PASSES)
    types = ", ".join(sorted(app.line_types))
    yield Line("number_type", phone.line_type.value, types, REFUSES if reason == "number_type" else PASSES)
    countries = ", ".join(sorted(app.countries))
    refuses = reason == "country_not_allowed"
    yield Line("country_not_allowed", phone.region or "none", countries, REFUSES if refuses else PASSES)
    yield Line("safe", _prefix(phone, guard.safe) or "no", "")
    signals = app.signals or guard.signals
    yield Line("signals", f"asked, fails {signals.fail}" if signals else "not asked", "")


def _prefix(phone: Phone, prefixes: tuple[str, ...]) -> str:
    return next((each for each in prefixes if phone.e164.startswith(each)), "")


async def _ledgers(service: Service, app: AppSettings, phone: Phone, number: str) -> list[Line]:
    guard = service.guard
    providers = routing.providers(service.settings.routes[app.route], app.name, phone)
    cost = guard.prices.dearest(providers, phone.region)
    ledgers = guard.subjects.of(Send(app, phone, number, cost))
    found = await guard.figures(ledgers)
    trust = 0
    for ledger, figures in zip(ledgers, found, strict=True):
        if ledger.kind == "block":
            converts = figures.sent - figures.approved < figures.approved
            trust = VERIFIED if figures.verified else CONVERTING if converts else 0
    lines = [Line("verified_before", "yes" if trust == VERIFIED else "no", "")]
    for ledger, figures in zip(ledgers, found, strict=True):
        lines += _ledger(trusted(ledger, trust), figures, phone)
    return lines


def _ledger(ledger: Ledger, counted: Figures, phone: Phone) -> Iterator[Line]:
    figures = ledger.figures
    match ledger.kind:
        case "block":
            for (limit, span), count in zip(figures["windows"], counted.windows, strict=True):
                said = _verdict(ledger, refuses=count >= limit)
                yield Line(ledger.rule, str(count), f"{limit} in {_span(span)}", said)
            name = f"conversion of {block(phone.e164)}***"
            pumped = (
                counted.over >= figures["least"] and 100 * counted.approved < figures["closes"] * counted.over
            )
            closed = f"closed: {counted.was} of {counted.of}" if counted.closed_ms else _converted(counted)
            said = _verdict(ledger, refuses=pumped or counted.closed_ms > 0)
            if counted.closed_ms:
                said += f" for {seconds(counted.closed_ms)} s"
            yield Line(name, closed, f"{figures['closes']} % of at least {figures['least']}", said)
        case "region":
            name = ledger.tag.rpartition(":")[2]
            if "limit" in figures:
                count = counted.sent - counted.approved + counted.reserved
                limit = max(figures["limit"], counted.approved)
                yield Line(
                    f"{ledger.rule} {name}",
                    str(count),
                    f"{limit} in 1d",
                    _verdict(ledger, refuses=count >= limit),
                )
            yield Line(f"conversion of {name}", _converted(counted), f"warns below {figures['warns']} %")
        case _:
            spent = counted.sent + counted.reserved
            said = _verdict(ledger, refuses=spent + figures["amount"] > figures["limit"])
            limit = f"{figures['limit'] / MICRO:g} of {figures['cap'] / MICRO:g} in 1d"
            owner = "app" if ledger.name != INSTALLATION else "installation"
            yield Line(f"{ledger.rule} of the {owner}", f"{spent / MICRO:g}", limit, said)


def _verdict(ledger: Ledger, *, refuses: bool) -> str:
    if not refuses:
        return PASSES
    return {"enforce": REFUSES, "record": "would refuse", "pass": "passes: safe, or verified"}[
        ledger.figures["mode"]
    ]


def _converted(counted: Figures) -> str:
    percent = f", {100 * counted.approved // counted.over} %" if counted.over else ""
    return f"{counted.approved} of {counted.over} came back{percent}"


def _span(ms: int) -> str:
    """As a window of the configuration is written."""
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        if ms % length == 0:
            return f"{ms // length}{unit}"
    return f"{ms // 1000}s"
