"""What a call returns. Fields that this version does not know are ignored."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One provider's answer to one send.

    Attributes:
        provider: The provider's name in the service's configuration.
        outcome: ``accepted``, ``undeliverable``, ``blocked``, ``unavailable`` or ``unknown``; may grow.
        reason: The provider's own code, empty when it gave none.
        segments: Message parts that the provider charges for.
        latency_ms: Milliseconds until the provider answered.
        at: When it was tried, aware.
        receipt: What the provider reported later; None before that.
    """

    provider: str
    outcome: str
    reason: str
    segments: int
    latency_ms: int
    at: datetime
    receipt: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """One proof that a person holds a number.

    Attributes:
        id: ``vrf_…``, to be kept with the person's session.
        status: ``pending``, ``approved``, ``canceled``, ``expired``, ``max_attempts_reached`` or ``failed``;
            may grow.
        to: The number in E.164.
        channel: How the code travels, such as ``sms``.
        purpose: What the code is for; a check must name the same.
        created_at: Aware, UTC.
        expires_at: Aware, UTC.
        expires_in: Seconds until then, by the service's clock.
        checks_left: Guesses left; None once closed.
        sends_left: Resends left; None once closed.
        next_send_in: Seconds until a resend is allowed; None once closed.
        deliveries: Every provider's answer, oldest first.
        metadata: What the start was given.
    """

    id: str
    status: str
    to: str = field(repr=False)
    channel: str
    purpose: str
    created_at: datetime
    expires_at: datetime
    expires_in: int
    checks_left: int | None = None
    sends_left: int | None = None
    next_send_in: int | None = None
    deliveries: tuple[Delivery, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What became of one guess; true when it was right.

    Attributes:
        id: The verification's.
        status: The verification's, after this guess.
        approved: Whether the person holds the number.
        checks_left: Guesses left.
        proof: A signed JWT that another back end can verify offline; None for a wrong guess.
    """

    id: str
    status: str
    approved: bool
    checks_left: int
    proof: str | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.approved

    @property
    def number(self) -> str | None:
        """The number that the proof names, in E.164; None for a wrong guess.

        The signature is not looked at: the proof came straight from the service, in which case OpenID Connect
        Core 1.0, 3.1.3.7, asks for no more of an ID token.
        """
        return _subject(self.proof) if self.approved and self.proof else None


def read_verification(data: Mapping[str, Any]) -> Verification:
    """The verification in an answer.

    Raises:
        KeyError, TypeError, ValueError: The answer is not a verification.
    """
    return _known(
        Verification,
        data,
        created_at=_time(data["created_at"]),
        expires_at=_time(data["expires_at"]),
        deliveries=tuple(_known(Delivery, each, at=_time(each["at"])) for each in data.get("deliveries", ())),
    )


def read_check(data: Mapping[str, Any]) -> Check:
    """The check in an answer; only JSON's own true is an approval.

    Raises:
        KeyError, TypeError, ValueError: The answer is not a check.
    """
    if not isinstance(data["approved"], bool):
        raise TypeError("approved is neither true nor false")
    return _known(Check, data)


def _subject(token: str) -> str | None:
    try:
        payload = token.split(".")[1]
        subject = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
    except (IndexError, KeyError, TypeError, ValueError):
        return None
    return subject if isinstance(subject, str) else None


def _known(cls: type[T], data: Mapping[str, Any], **read: object) -> T:
    given = {**data, **read}
    return cls(**{each.name: given[each.name] for each in fields(cls) if each.name in given})  # type: ignore[arg-type]


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time without its offset")
    return time
