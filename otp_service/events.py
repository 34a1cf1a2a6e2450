"""What happened, for whoever listens: the log, later metrics. No event can hold a code or a whole number."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeAlias

from otp_service.phone import mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from otp_service.delivery.provider import Answer
    from otp_service.verification import Delivery


@dataclass(frozen=True, slots=True)
class Tried:
    """A provider answered to a send."""

    app: str
    verification: str
    to: str
    provider: str
    outcome: str
    reason: str
    reference: str
    text: str
    latency_ms: int

    @classmethod
    def of(cls, app: str, verification: str, number: str, delivery: Delivery, answer: Answer) -> Tried:
        """From a try; the number is masked here, in the provider's own words too."""
        return cls(
            app,
            verification,
            mask(number),
            delivery.provider,
            delivery.outcome.value,
            delivery.reason,
            answer.reference,
            _masked(answer.text),
            delivery.latency_ms,
        )


@dataclass(frozen=True, slots=True)
class Started:
    """A verification was opened."""

    app: str
    verification: str
    purpose: str
    region: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A check was settled: ``approved``, ``wrong`` or ``closed``."""

    app: str
    verification: str
    result: str


@dataclass(frozen=True, slots=True)
class Canceled:
    """A verification was canceled."""

    app: str
    verification: str


@dataclass(frozen=True, slots=True)
class Received:
    """A provider reported on a message."""

    verification: str
    provider: str
    state: str
    reason: str
    effect: str


@dataclass(frozen=True, slots=True)
class NumberClosed:
    """A hundred checks in a row failed on one number: it is closed for a day. Somebody is guessing."""

    app: str
    verification: str


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """A message went out, and Redis could not be told what became of it."""

    app: str
    verification: str


Event: TypeAlias = Tried | Started | Checked | Canceled | Received | NumberClosed | Unrecorded
Listener: TypeAlias = "Callable[[Event], None]"

_DIGITS = re.compile(r"\+?\d(?:[\s.()-]{0,2}\d){3,}")
_LONGEST = 200
_ALARMS = (NumberClosed, Unrecorded)


def log(event: Event) -> None:
    """Write an event to the log, a warning when somebody should look."""
    fields = " ".join(f"{name}={value}" for name, value in asdict(event).items() if value != "")
    level = logging.WARNING if isinstance(event, _ALARMS) else logging.INFO
    logging.getLogger("otp_service").log(level, "%s %s", type(event).__name__, fields)


def _masked(text: str) -> str:
    """A provider's own words less every run of digits: they may repeat the number, or the whole message."""
    return _DIGITS.sub("***", text)[:_LONGEST]
