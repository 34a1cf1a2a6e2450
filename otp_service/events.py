"""What happened, for whoever listens: the log and the metrics. No event can hold a code or a whole number."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from otp_service.phone import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from otp_service.delivery.provider import Answer
    from otp_service.verification import Delivery


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. As text it is its name and what it holds."""

    @property
    def level(self) -> int:
        """How loudly the log says it."""
        return logging.INFO

    def fields(self) -> dict[str, Any]:
        """What it holds, less what is empty."""
        return {name: value for name, value in asdict(self).items() if value != ""}

    def __str__(self) -> str:
        return " ".join((type(self).__name__, *(f"{name}={value}" for name, value in self.fields().items())))


@dataclass(frozen=True, slots=True)
class Tried(Event):
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
    def of(
        cls,
        app: str,
        verification: str,
        number: str,
        delivery: Delivery,
        answer: Answer,
        credentials: Collection[str],
    ) -> Tried:
        """From a try; the number and what the provider may repeat of our request are masked here."""
        return cls(
            app,
            verification,
            mask(number),
            delivery.provider,
            delivery.outcome.value,
            delivery.reason,
            answer.reference,
            _masked(answer.text, credentials),
            delivery.latency_ms,
        )


@dataclass(frozen=True, slots=True)
class Started(Event):
    """A verification was opened."""

    app: str
    verification: str
    purpose: str
    region: str


@dataclass(frozen=True, slots=True)
class Checked(Event):
    """A check was settled: ``approved``, ``wrong`` or ``closed``."""

    app: str
    verification: str
    result: str


@dataclass(frozen=True, slots=True)
class Canceled(Event):
    """A verification was canceled."""

    app: str
    verification: str


@dataclass(frozen=True, slots=True)
class Received(Event):
    """A provider reported on a message."""

    verification: str
    provider: str
    state: str
    reason: str
    effect: str


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """A caller got a problem for an answer; the app is empty where nobody proved to be one."""

    app: str
    code: str
    reason: str

    @property
    def level(self) -> int:
        """A stranger must not be able to fill the log."""
        return logging.INFO if self.app else logging.DEBUG


@dataclass(frozen=True, slots=True)
class Faulted(Event):
    """A request met a fault of ours; it has the request id because it is told outside the edge."""

    fault: str
    request_id: str

    @property
    def level(self) -> int:
        """The answer was a 500."""
        return logging.ERROR


@dataclass(frozen=True, slots=True)
class Alarm(Event):
    """Somebody should look."""

    @property
    def level(self) -> int:
        """Above all that goes well."""
        return logging.WARNING


@dataclass(frozen=True, slots=True)
class NumberClosed(Alarm):
    """A hundred checks in a row failed on one number: it is closed for a day. Somebody is guessing."""

    app: str
    verification: str


@dataclass(frozen=True, slots=True)
class Unrecorded(Alarm):
    """A message went out, and Redis could not be told what became of it."""

    app: str
    verification: str


Listener: TypeAlias = "Callable[[Event], None]"

_DIGITS = re.compile(r"\+?\d(?:[\s.()-]{0,2}\d){3,}")
_LONGEST = 200


def log(event: Event) -> None:
    """Write an event to the log; ``logs`` takes it apart again."""
    logging.getLogger("otp_service").log(event.level, event)


def _masked(text: str, credentials: Collection[str]) -> str:
    """A provider's own words less what they may repeat of our request: digits, and its credentials.

    What is not printable would let a provider write lines of its own into the log.
    """
    visible = "".join(character if character.isprintable() else " " for character in text)
    for credential in sorted(credentials, key=len, reverse=True):
        visible = visible.replace(credential, "***")
    return _DIGITS.sub("***", visible)[:_LONGEST]
