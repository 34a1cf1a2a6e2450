"""Circuit breakers: which providers are not worth a try now, everywhere or in one country.

Calls are counted in each process, so that a try waits for nobody. Openings, closings and the right to probe
are shared by ``learning``, once a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otp_service import events
from otp_service.delivery.circuit import Circuit
from otp_service.delivery.transport import FAILURES
from otp_service.store.experience import LEASE_MS, Findings
from otp_service.verification import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from otp_service.delivery.provider import Answer
    from otp_service.events import Listener
    from otp_service.store.experience import Opening

OPEN_MS: Final = 30_000
"""Before a probe."""
LASTING_MS: Final = 300_000
"""Before a probe, where the provider refused our credentials or credit: somebody has to mend that first."""
PROBE_MS: Final = LEASE_MS - 12_000
"""How long a process may begin the probe it was granted: its try (10 s at most), and 2 s to tell of it, must
end before another process is granted one."""

FAILED: Final = frozenset({Outcome.UNAVAILABLE, Outcome.UNKNOWN})
"""``undeliverable`` and ``blocked`` are sound answers about a number."""

NOWHERE: Final = "ZZ"
"""The country of a number that has none (ISO 3166-1, user-assigned)."""

WIRE: Final = "wire"
"""Where a failure happens that says nothing about a country."""
_WIRE_FAILURES: Final = frozenset(reason for _, _, reason in FAILURES)


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to try a provider once, and what to do with its answer."""

    breakers: Breakers
    circuits: tuple[Circuit, Circuit]
    trials: tuple[Circuit, ...] = ()
    """Those that are open, and that the answer closes or keeps open."""

    @property
    def provider(self) -> str:
        """Whose turn it is."""
        return self.circuits[0].name

    def heard(self, answer: Answer) -> None:
        """Learn from an answer for which the provider had all the time it is given."""
        self.breakers.heard(self, answer)


class Breakers:
    """The circuits of all providers.

    Args:
        clock: Milliseconds, never set back.
        tell: Hears of openings and closings found by this process.
    """

    def __init__(self, clock: Callable[[], int], tell: Listener) -> None:
        self._clock = clock
        self._tell = tell
        self._circuits: dict[str, Circuit] = {}
        self._opened: dict[str, int] = {}
        self._closed: dict[str, str] = {}
        self._wanted: set[str] = set()

    def turn(self, provider: str, region: str) -> Turn | None:
        """The right to try a provider in a country now, or None while one of its circuits is open."""
        circuits = self._pair(provider, region)
        shut = tuple(each for each in circuits if each.opened is not None)
        if not shut:
            return Turn(self, circuits)
        now = self._clock()
        if all(now < each.probe_until for each in shut):
            for each in shut:
                each.probe_until = 0
            return Turn(self, circuits, shut)
        if all(now >= each.until for each in shut):
            self._wanted.update(each.name for each in shut)
        return None

    def last_resort(self, providers: Sequence[str], region: str) -> Turn:
        """The right to try, of providers that are all shut, the one that has been so longest."""
        name = min(providers, key=lambda name: self._shut_since(name, region))
        circuits = self._pair(name, region)
        return Turn(self, circuits, tuple(each for each in circuits if each.opened is not None))

    def heard(self, turn: Turn, answer: Answer) -> None:
        """Learn from the answer to a try."""
        now, failed = self._clock(), answer.outcome in FAILED
        everywhere, country = turn.circuits
        places = [country.country, WIRE] if answer.reason in _WIRE_FAILURES else [country.country]
        for circuit in turn.circuits:
            lasting = answer.lasting and circuit is everywhere
            if not failed:
                if circuit in turn.trials:
                    self._close(circuit)
                elif circuit.opened is None:
                    circuit.calls.succeeded(now)
            elif circuit in turn.trials or lasting:
                self._open(circuit, now, LASTING_MS if lasting else OPEN_MS, answer.reason)
            elif circuit.opened is None and circuit.calls.failed(now, places):
                self._open(circuit, now, OPEN_MS, answer.reason)

    def take(self) -> Findings:
        """What this process found out since it was last asked."""
        found = Findings(self._opened, self._closed, sorted(self._wanted))
        self._opened, self._closed, self._wanted = {}, {}, set()
        return found

    def put_back(self, found: Findings) -> None:
        """What could not be told is told next time."""
        self._opened = {**found.opened, **self._opened}
        self._closed = {**found.closed, **self._closed}

    def learn(self, openings: Iterable[Opening]) -> None:
        """Take over what all processes found out."""
        now = self._clock()
        shared = {opening.circuit: opening for opening in openings}
        for circuit in self._circuits.values():
            if circuit.mark and circuit.name not in shared:
                circuit.reset()
        for name, opening in shared.items():
            if self._closed.get(name) == opening.mark:
                continue  # closed here in the meantime, which is still to be told
            circuit = self._circuit(name)
            circuit.opened, circuit.mark = now - opening.age_ms, opening.mark
            circuit.until = max(circuit.until, now + opening.left_ms)
            if opening.granted:
                circuit.probe_until = now + PROBE_MS

    def states(self) -> Mapping[str, int | None]:
        """Every circuit by name: milliseconds until it may be probed where it is open, else None."""
        now = self._clock()
        return {
            name: None if each.opened is None else max(0, each.until - now)
            for name, each in self._circuits.items()
        }

    def _open(self, circuit: Circuit, now: int, length: int, reason: str) -> None:
        if circuit.opened is None:
            circuit.opened = now
            provider = circuit.name.partition(":")[0]
            self._tell(events.BreakerOpened(provider, circuit.country, length // 1000, reason))
        circuit.until = max(circuit.until, now + length)
        self._opened[circuit.name] = max(self._opened.get(circuit.name, 0), length)

    def _close(self, circuit: Circuit) -> None:
        if circuit.opened is None:
            return  # another try was faster
        self._opened.pop(circuit.name, None)
        if circuit.mark:
            self._closed[circuit.name] = circuit.mark
        circuit.reset()
        self._tell(events.BreakerClosed(circuit.name.partition(":")[0], circuit.country))

    def _shut_since(self, provider: str, region: str) -> int:
        return min(each.opened for each in self._pair(provider, region) if each.opened is not None)

    def _pair(self, provider: str, region: str) -> tuple[Circuit, Circuit]:
        return self._circuit(provider), self._circuit(f"{provider}:{region or NOWHERE}")

    def _circuit(self, name: str) -> Circuit:
        found = self._circuits.get(name)
        if found is None:
            found = self._circuits[name] = Circuit(name)
        return found
