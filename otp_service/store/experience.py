"""What all processes know of the providers: which are not worth a try now, and whose codes come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otp_service.store import keys
from otp_service.store.keys import Shard
from otp_service.store.records import MAY_HAVE_GONE
from otp_service.store.store import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otp_service.store.scripts import Scripts
    from otp_service.verification import VerificationId

HALF_LIFE_MS: Final = 3_600_000
"""What a send says of its provider counts half after an hour."""

LEASE_MS: Final = 20_000
"""Of a probe: longer than any try (10 s), with time to be used and to be told of."""

MOST_SENDS: Final = 300
"""What the past of a provider weighs at most: else the thousands of a busy good hour outvote the minutes in
which it went wrong, and those are what counts."""

_LEAST_SENDS: Final = 0.05
"""What is left of one send after four hours; less is forgotten."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one process found out since it last told.

    A circuit is named ``provider`` or ``provider:EE``.
    """

    opened: Mapping[str, int] = field(default_factory=dict)
    """Circuits that opened, or failed their probe, and for how many milliseconds."""
    closed: Mapping[str, str] = field(default_factory=dict)
    """Circuits that closed, and the mark of the opening that ended."""
    wanted: Sequence[str] = ()
    """Circuits that somebody should probe."""
    conversions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Sends and approvals."""


@dataclass(frozen=True, slots=True)
class Opening:
    """An open circuit."""

    circuit: str
    mark: str
    """Tells it from later ones of the same circuit."""
    age_ms: int
    left_ms: int
    """Until it may be probed; negative after that."""
    granted: bool
    """Whether the process that asks may probe it, alone, for the time of the lease."""


@dataclass(frozen=True, slots=True)
class Known:
    """What all processes found out."""

    openings: Sequence[Opening]
    conversions: Mapping[str, tuple[float, float]]
    """Sends and approvals of each circuit with a country, as much as they still count."""


class Experience:
    """The one key that all processes share about providers.

    Args:
        scripts: Runs the scripts.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def exchange(self, run: str, findings: Findings) -> Known:
        """Tell what this process found out, and hear what all did.

        Args:
            run: Names this exchange. If its reply is lost, the script runs again: then the probes are granted
                again, and the conversions of one second count double, sends and approvals alike.
            findings: Since the last one.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        arguments = {
            "run": run,
            "opened": list(findings.opened.items()),
            "closed": list(findings.closed.items()),
            "wanted": list(findings.wanted),
            "conversions": [(circuit, *counts) for circuit, counts in findings.conversions.items()],
            "half_life": HALF_LIFE_MS,
            "lease": LEASE_MS,
            "least": _LEAST_SENDS,
            "most": MOST_SENDS,
            "memory": DAY_MS,
        }
        _, _, openings, conversions = await self._scripts.run("exchange", [keys.EXPERIENCE], arguments)
        return Known(
            [
                Opening(circuit.decode(), mark.decode(), age, left, bool(granted))
                for circuit, mark, age, left, granted in openings
            ],
            {circuit.decode(): (float(sends), float(back)) for circuit, sends, back in conversions},
        )

    async def carriers(
        self, shard: int, codes: Sequence[tuple[VerificationId, int]]
    ) -> list[tuple[str, int] | None]:
        """Which provider carried a code, and how many milliseconds ago it was tried.

        Args:
            shard: Of all the verifications.
            codes: Each a verification, and how many of its live codes were newer.

        Returns:
            One for each code; None where that is not on record.
        """
        arguments = {"newer": [newer for _, newer in codes], **MAY_HAVE_GONE}
        records = [Shard(shard).verification(id_) for id_, _ in codes]
        _, _, found = await self._scripts.run("carriers", records, arguments)
        return [(each[0].decode(), each[1]) if each else None for each in found]
