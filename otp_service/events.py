"""What happened, for whoever listens: the log and the metrics. No event can hold a code or a whole number."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from otp_service.phone import block, mask

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
    address: str = ""
    """The client's, if there is one: ``counted``, or ``private``, which many have, so nobody counts it."""


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


@dataclass(frozen=True, slots=True)
class SendRefused(Event):
    """A rule of the guard refused a send, or would have; the caller hears no more than the rule's name."""

    app: str
    rule: str
    figure: str
    limit: str
    prefix: str
    enforced: bool

    @classmethod
    def of(cls, app: str, number: str, rule: str, figure: str, limit: str, *, enforced: bool) -> SendRefused:
        """From what was counted; of the number its block is shown."""
        return cls(app, rule, figure, limit, block(number) + "***", enforced)


@dataclass(frozen=True, slots=True)
class Pumped(Alarm):
    """Too few codes come back from a block of numbers, a region or a country calling code.

    The rule is ``block_conversion``, ``block_closed``, ``region_conversion`` or ``code_conversion``.
    """

    app: str
    rule: str
    prefix: str
    region: str
    percent: int
    limit: int

    @classmethod
    def of(cls, app: str, rule: str, number: str, region: str, percent: int, limit: int) -> Pumped:
        """From what was counted; of a number its block is shown, where it is about one."""
        prefix = block(number) + "***" if rule.startswith("block") else ""
        return cls(app, rule, prefix, region, percent, limit)


@dataclass(frozen=True, slots=True)
class AddressRoams(Alarm):
    """One client's address had codes sent to more countries in a day than people have numbers in."""

    app: str
    countries: int
    limit: int


@dataclass(frozen=True, slots=True)
class ChecksFailing(Alarm):
    """Far more checks of an app fail than usual: somebody is guessing, perhaps on many numbers."""

    app: str
    failed: int
    usual: int


@dataclass(frozen=True, slots=True)
class SignalsSilent(Alarm):
    """What is asked before a send gave no decision; it fails ``open`` or ``closed``."""

    app: str
    reason: str
    fail: str


@dataclass(frozen=True, slots=True)
class SpendReached(Alarm):
    """What any number may use of a day's cap is spent; the rest is for numbers verified before."""

    app: str
    spent: str
    cap: str


@dataclass(frozen=True, slots=True)
class BreakerOpened(Alarm):
    """A provider failed too often: it is left out for a while, where no country is given in all of them."""

    provider: str
    country: str
    seconds: int
    reason: str


@dataclass(frozen=True, slots=True)
class BreakerClosed(Event):
    """A provider that was left out took a message again."""

    provider: str
    country: str


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
