"""The shapes of all keys in Redis, in one place.

Everything about one number lives in one shard, and the keys of a shard share a hash tag, so a script may
touch any of them, on Redis Cluster too. The tag of shard i is the smallest integer whose slot falls in the
i-th 64th of the slots: any number of masters gets an even share.
"""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_service.verification import SHARDS

if TYPE_CHECKING:
    from otp_service.verification import VerificationId

SLOTS = 16384
"""Hash slots of Redis Cluster (cluster specification, "Key distribution model")."""

META = "otp:meta"
"""What every process must agree on: schema, shards, the fingerprint of the index key."""

EXPERIENCE = "otp:{experience}"
"""What all processes know of the providers; not about any number, so with a tag of its own."""


LOCKS = "otp:{locks}"
"""What operators have locked; not about one number either."""


def slot(tag: str) -> int:
    """The slot of a hash tag: CRC16 (XMODEM) modulo 16384, as the cluster specification has it."""
    return crc_hqx(tag.encode(), 0) % SLOTS


def _tags() -> tuple[str, ...]:
    found: dict[int, str] = {}
    candidate = 0
    while len(found) < SHARDS:
        found.setdefault(slot(str(candidate)) * SHARDS // SLOTS, str(candidate))
        candidate += 1
    return tuple(found[shard] for shard in range(SHARDS))


TAGS = _tags()


@dataclass(frozen=True, slots=True)
class Shard:
    """The keys of one shard.

    Args:
        index: 0..63.
    """

    index: int

    def verification(self, id_: VerificationId) -> str:
        """The record: a hash of short fields, each at most 64 bytes."""
        return self._key("v", id_.bare)

    @property
    def records(self) -> str:
        """The pattern of all records."""
        return self._key("v", "*")

    def codes(self, id_: VerificationId) -> str:
        """The live hashes, newest first; gone on closing."""
        return self._key("c", id_.bare)

    def details(self, id_: VerificationId) -> str:
        """The sealed target, when it is too long for the record."""
        return self._key("x", id_.bare)

    def number(self, tag: str) -> str:
        """What a number's budgets count: a sorted set of events by time."""
        return self._key("n", tag)

    def failures(self, tag: str, app: str) -> str:
        """Failed checks of a number in a row."""
        return self._key("r", tag, app)

    def operation(self, op: str) -> str:
        """What became of one operation, so that it happens once."""
        return self._key("o", op)

    @property
    def timers(self) -> str:
        """What is due and when: a sorted set."""
        return self._key("t")

    @property
    def outbox(self) -> str:
        """What someone is to be told: a stream."""
        return self._key("e")

    def _key(self, *parts: str) -> str:
        return ":".join((f"otp:{{{TAGS[self.index]}}}", *parts))


@dataclass(frozen=True, slots=True)
class Events:
    """What a verification is called among the events of its number.

    Args:
        app: Its app.
        id: Its id.
        session: 8 characters that stand for the client's session; None outside a start.
    """

    app: str
    id: VerificationId
    session: str | None = None

    @property
    def short(self) -> str:
        """Itself: 50 bits are plenty among the events of one number."""
        return self.id.bare[4:14]

    @property
    def all_sends(self) -> str:
        """What the sends of every app begin with."""
        return "s:"

    @property
    def app_sends(self) -> str:
        """What the sends of its app begin with."""
        return f"s:{self.app}:"

    @property
    def sends(self) -> str:
        """What its own sends begin with; their number follows."""
        return f"{self.app_sends}{self.short}"

    def send(self, number: int) -> str:
        """One of its sends, from 1."""
        return f"{self.sends}{number}"

    @property
    def live_prefix(self) -> str:
        """What the live verifications of its app begin with; eight characters for the session follow."""
        return f"l:{self.app}:"

    @property
    def live(self) -> str:
        """It while it is pending; without a session it is a group of its own."""
        return f"{self.live_prefix}{self.session or self.short[:8]}{self.short}"

    @property
    def failures(self) -> str:
        """What the failed checks of its app begin with."""
        return f"f:{self.app}:"

    def failure(self, operation: str) -> str:
        """One failed check."""
        return f"{self.failures}{operation[:10]}"


def claim(name: str) -> str:
    """An Idempotency-Key of an app; with a tag of its own, because it is not about one number."""
    return f"otp:{{{name}}}:i"


def checks(app: str) -> str:
    """What is counted about all checks of an app."""
    return f"otp:{{checks:{app}}}"


def ledger(tag: str, letter: str, name: str = "") -> str:
    """What is counted about one subject that is not a number; the keys of a subject share its tag.

    Args:
        tag: The subject, or what it has in common with others that are counted in one script.
        letter: What is counted.
        name: Tells subjects of one tag apart.
    """
    return f"otp:{{{tag}}}:{name}:{letter}" if name else f"otp:{{{tag}}}:{letter}"
