"""Ledgers: what is counted about one subject that is not a number, and reserved there before a send.

A subject is a client's address or session, a block of 1,000 numbers, a region, an app's money. A send
reserves in all its ledgers at once; then it is settled or released. What a killed process had reserved is
given back when the lease is over.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from otp_service.store import keys
from otp_service.store.answers import limit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from otp_service.store.scripts import Scripts
    from otp_service.verification import RateLimit

REPEATS_MS: Final = 60_000
"""An approval is told again only after a lost reply, long before this."""

_LETTERS: Final = {"windows": "e", "block": "ecv", "region": "pc", "money": "pc"}
_CREDITED: Final = {"windows": "e", "block": "ecvd", "region": "cd"}
_SETTLED: Final = _LETTERS | {"windows": "eg"}
"""Which keys of a ledger a script takes; `_ledgers.lua` says what they hold."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """One subject, and the rule that a send must keep there.

    Args:
        kind: ``windows``; ``block``, windows and a conversion; ``region``, sends less approvals; ``money``.
        tag: What the subject is called in Redis.
        rule: As the caller reads it in ``reason``.
        figures: What the scripts need for a ledger of this kind.
        name: Tells subjects of one tag apart, which are reserved together on a Cluster too.
    """

    kind: Literal["windows", "block", "region", "money"]
    tag: str
    rule: str
    figures: Mapping[str, Any]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule said: the figure that was over, or below, its limit.

    Args:
        rule: The ledger's, or ``pumping_suspected``.
        figure: What was counted: sends, percent, or micro-units of money.
        limit: In the same unit.
        window_ms: In how long.
        wait_ms: Until another try can succeed.
    """

    rule: str
    figure: int
    limit: int
    window_ms: int
    wait_ms: int


@dataclass(frozen=True, slots=True)
class Weighed:
    """What all ledgers of a send said.

    Args:
        now_ms: By the clock of Redis.
        held: Ledgers in which the send is reserved now.
        refusals: Why it is not in the others.
        recorded: What would have been refusals.
        noted: What somebody should know of.
        tightest: What is left where least is.
        trust: 2 for a number that was verified before, 1 for one of a block most of whose codes come back.
    """

    now_ms: int
    held: Sequence[Ledger]
    refusals: Sequence[Finding]
    recorded: Sequence[Finding]
    noted: Sequence[Finding]
    tightest: RateLimit | None
    trust: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted in a ledger.

    Args:
        windows: In each of its windows.
        sent: In a day: verifications, sends, or micro-units of money.
        approved: Of those.
        reserved: On their way.
        over: Verifications that conversion counts.
        closed_ms: How long a block is closed.
        was: Approvals for which it was.
        of: Verifications of which those were.
        verified: Whether the number was verified before.
    """

    windows: Sequence[int]
    sent: int
    approved: int
    reserved: int
    over: int
    closed_ms: int
    was: int
    of: int
    verified: int


class Ledgers:
    """All ledgers; on a Cluster each subject is a call of its own, elsewhere one call takes them all.

    Every method raises StoreUnavailable when Redis did not decide in time.

    Args:
        scripts: Runs the scripts.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def reserve(
        self, ledgers: Sequence[Ledger], member: str, lease_ms: int, *, look: bool = False
    ) -> Weighed:
        """Reserve a send; in each call all or nothing.

        Args:
            ledgers: Where.
            member: Names the reservation; the same again is answered the same.
            lease_ms: When it is given back by itself.
            look: Only say what the answer would be.
        """
        groups = self._groups(ledgers)
        arguments = {"member": member, "lease": lease_ms, "look": look}
        replies = await self._each("reserve", groups, arguments)
        held = [
            each
            for group, reply in zip(groups, replies, strict=True)
            if reply[1] != "refused"
            for each in group
        ]
        states = [state for reply in replies if (state := limit(reply[5]))]
        return Weighed(
            now_ms=min((reply[0] for reply in replies), default=0),
            held=[] if look else held,
            refusals=_findings(reply[2] for reply in replies),
            recorded=_findings(reply[3] for reply in replies),
            noted=_findings(reply[4] for reply in replies),
            tightest=min(states, key=lambda state: state.left, default=None),
            trust=max((reply[6] for reply in replies), default=0),
        )

    async def settle(
        self, ledgers: Sequence[Ledger], member: str, till_ms: int, event: str, spent: Mapping[str, int]
    ) -> list[tuple[Ledger, int]]:
        """Count what was reserved as sent.

        Args:
            ledgers: Where it was reserved.
            member: Names the reservation.
            till_ms: When its lease is over.
            event: What an approval gives back: the verification's short name, and the send's number.
            spent: What it came to, by rule, where that is not 1.

        Returns:
            Ledgers of money whose line is reached with this, and how much is spent there; and of addresses
            that have sent to one country too many, and to how many.
        """
        groups = self._groups(ledgers)
        arguments = {"member": member, "till": till_ms, "event": event, "spent": dict(spent)}
        replies = await self._each("account", groups, arguments, _SETTLED)
        return [
            (group[place], total)
            for group, reply in zip(groups, replies, strict=True)
            for place, total in reply[2]
        ]

    async def release(self, ledgers: Sequence[Ledger], member: str) -> None:
        """Give back what was reserved."""
        arguments = {"member": member, "till": 0}
        await self._each("account", self._groups(ledgers), arguments)

    async def credit(self, ledgers: Sequence[Ledger], verification: str, began_ms: int) -> None:
        """Give back what an approval gives back.

        Args:
            ledgers: Of its start and its sends.
            verification: Its short name: what its events begin with.
            began_ms: When it was started.
        """
        arguments = {"sends": verification, "began": began_ms, "repeats": REPEATS_MS}
        await self._each("credit", self._groups(ledgers), arguments, _CREDITED, verification)

    async def figures(self, ledgers: Sequence[Ledger]) -> list[Figures]:
        """What is counted in each; nothing changes."""
        replies = await self._each("figures", self._groups(ledgers), {})
        return [Figures(*each) for reply in replies for each in reply[2]]

    async def lift(self, ledger: Ledger) -> bool:
        """Open a block that was closed; whether anything was held against it."""
        reply = await self._scripts.run("lift", [keys.ledger(ledger.tag, "c")], {})
        return bool(reply[2])

    def _groups(self, ledgers: Sequence[Ledger]) -> list[list[Ledger]]:
        """What one call takes: on a Cluster, keys of one tag."""
        if not self._scripts.clustered:
            return [list(ledgers)] if ledgers else []
        tags: dict[str, list[Ledger]] = {}
        for ledger in ledgers:
            tags.setdefault(ledger.tag, []).append(ledger)
        return list(tags.values())

    async def _each(
        self,
        verb: str,
        groups: Iterable[Sequence[Ledger]],
        arguments: dict[str, Any],
        letters: Mapping[str, str] = _LETTERS,
        once: str = "",
    ) -> list[list[Any]]:
        """Run a verb for all groups at the same time."""
        return await asyncio.gather(*(self._run(verb, group, arguments, letters, once) for group in groups))

    async def _run(
        self,
        verb: str,
        ledgers: Sequence[Ledger],
        arguments: dict[str, Any],
        letters: Mapping[str, str],
        once: str,
    ) -> list[Any]:
        names: list[str] = []
        rows = []
        for ledger in ledgers:
            row = {"kind": ledger.kind, "rule": ledger.rule, **ledger.figures}
            for letter in letters[ledger.kind]:
                names.append(keys.ledger(ledger.tag, letter + once if letter == "d" else letter, ledger.name))
                row[letter] = len(names)
            rows.append(row)
        return await self._scripts.run(verb, names, arguments | {"rows": rows})


def _findings(lists: Iterable[Iterable[list[Any]]]) -> list[Finding]:
    return [Finding(rule.decode(), *figures) for each in lists for rule, *figures in each]
