"""What an operator does to a number: lock it, unlock it, have it forgotten."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from otp_service.errors import InvalidNumber, UnknownKey
from otp_service.guard.locks import read_subject
from otp_service.phone import Phone, block, mask, parse
from otp_service.registry import located
from otp_service.service import Seams, build
from otp_service.store.numbers import Numbers
from otp_service.verification import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from otp_service.events import Event
    from otp_service.service import Service
    from otp_service.settings import Settings
    from otp_service.store.numbers import Kept

BLOCK_DIGITS = "000"
"""Behind the prefix of a block of 1,000 numbers they name one of them."""


@asynccontextmanager
async def opened(settings: Settings, seams: Seams | None = None) -> AsyncIterator[Service]:
    """A service that nobody calls, with all that it knows.

    Raises:
        SettingsError: This is not the Redis that was meant.
        StoreUnavailable: Redis does not answer.
    """
    service = build(settings, seams or Seams(listener=_ignore))
    async with service.running(work=False):
        yield service


async def lock(service: Service, text: str, lasts_ms: int | None, reason: str) -> str:
    """Lock a number, or all that begin with a prefix; every process obeys within about a second.

    Args:
        service: Open.
        text: E.164, or its first digits.
        lasts_ms: How long; None for until it is unlocked.
        reason: For other operators.

    Raises:
        InvalidNumber: It is neither a number nor a prefix.
    """
    subject = read_subject(text)
    made = await service.locks.lock(subject, lasts_ms, reason)
    return f"{_shown(subject)} is locked {until(made.until_ms)}"


async def unlock(service: Service, text: str) -> list[str]:
    """Lift what stands against a number or a prefix: its lock, and a block that pumping has closed.

    For a number, what its budgets count as well, and its failed checks in a row.

    Args:
        service: Open.
        text: E.164, or its first digits.

    Raises:
        InvalidNumber: It is neither a number nor a prefix.
    """
    subject = read_subject(text)
    lifted = await service.locks.unlock(subject)
    lines = [f"lock of {_shown(subject)}: {'lifted' if lifted else 'there was none'}"]
    if member := _member(subject):
        apps = service.settings.apps.values()
        opened_ = [app.name for app in apps if await service.guard.lift(app, member)]
        shown = f"block {block(member.e164)}***"
        lines.append(f"{shown}: cleared for {', '.join(opened_)}" if opened_ else f"{shown}: nothing counted")
    else:
        lines.append(
            "blocks that pumping has closed are lifted one by one: a number less its last three digits"
        )
    if isinstance(subject, Phone):
        shard, number = located(service.keyring, subject.e164)
        numbers = Numbers(service.scripts, service.client)
        held = await numbers.pardon(shard, number, service.settings.apps)
        lines.append(f"budgets of {_shown(subject)}: {'cleared' if held else 'nothing counted'}")
        await service.locks.refresh()
        lines += [
            f"STILL LOCKED by {shown} {until(each.until_ms)}"
            for shown, each in service.locks.all_of(subject)
            if shown
        ]
    return lines


async def forget(service: Service, text: str) -> list[str]:
    """Erase a number: every verification of it, and that it was ever verified.

    What its budgets count stays, under a name that only the index key makes of the number: else to be
    forgotten would be a way round every limit. It goes by itself.

    Args:
        service: Open.
        text: E.164.

    Raises:
        InvalidNumber: No such number exists.
    """
    phone = parse(text)
    shard, number = located(service.keyring, phone.e164)
    numbers = Numbers(service.scripts, service.client)
    erased = unreadable = 0
    async for kept in numbers.records(shard):
        about = _about(service, kept)
        if about == phone.e164:
            await numbers.erase(kept.id)
            erased += 1
        unreadable += about is None
    for app in service.settings.apps.values():
        ledger = service.guard.subjects.block(app, phone, number)
        await numbers.distrust(ledger.tag, ledger.figures["number"])
    hour = service.settings.idempotency_ttl_seconds
    lines = [
        f"{mask(phone.e164)}: {erased} verifications erased, and that it was verified",
        "kept, by a name that only the index key makes: what budgets count, failed checks in a row, a lock",
        f"kept, sealed, for {hour} s at most: answers to repeated Idempotency-Keys",
    ]
    if unreadable:
        lines.append(f"{unreadable} records of any number are sealed with a key that is not in the ring")
    return lines


def until(ms: int) -> str:
    """When a lock is over."""
    return f"until {datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M} UTC" if ms else "until unlocked"


def _member(subject: Phone | str) -> Phone | None:
    """A number of the block that a subject names; shorter prefixes name none."""
    try:
        return subject if isinstance(subject, Phone) else parse(subject + BLOCK_DIGITS)
    except InvalidNumber:
        return None


def _shown(subject: Phone | str) -> str:
    return subject if isinstance(subject, str) else mask(subject.e164)


def _about(service: Service, kept: Kept) -> str | None:
    """The number that a record is about; None where nobody can tell any more."""
    try:
        sealed = service.keyring.unseal(kept.key_id, kept.sealed, kept.app, str(kept.id))
    except UnknownKey:
        return None
    return Target.unpack(sealed).to


def _ignore(_: Event) -> None:
    """Nobody reads a log of this."""
