"""One circuit: what came of the latest calls, and whether that is reason enough to make no more."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

IN_ROW: Final = 5
"""Failures one after another that open a circuit."""
LEAST_CALLS: Final = 20
"""Calls within ``WINDOW_MS`` of which half must fail to open it."""
WINDOW_MS: Final = 30_000


@dataclass(slots=True)
class _Second:
    """The calls of one second, and where they failed."""

    number: int
    calls: int = 0
    failures: int = 0
    places: set[str] = field(default_factory=set)


class Calls:
    """What came of the latest calls.

    Args:
        places: In how many places they must have failed to say anything of all.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._seconds: deque[_Second] = deque()
        self._row = 0
        self._row_places: set[str] = set()

    def succeeded(self, now: int) -> None:
        """Count a success, at a moment in milliseconds."""
        self._second(now).calls += 1
        self._row = 0
        self._row_places.clear()

    def failed(self, now: int, places: Iterable[str]) -> bool:
        """Count a failure; whether it was one too many."""
        second = self._second(now)
        second.calls += 1
        second.failures += 1
        second.places.update(places)
        self._row += 1
        self._row_places.update(places)
        if self._row >= IN_ROW and len(self._row_places) >= self._places:
            return True
        calls = sum(each.calls for each in self._seconds)
        half = 2 * sum(each.failures for each in self._seconds) >= calls >= LEAST_CALLS
        return half and len(set().union(*(each.places for each in self._seconds))) >= self._places

    def _second(self, now: int) -> _Second:
        number = now // 1000
        while self._seconds and self._seconds[0].number <= number - WINDOW_MS // 1000:
            self._seconds.popleft()
        if not self._seconds or self._seconds[-1].number != number:
            self._seconds.append(_Second(number))
        return self._seconds[-1]


@dataclass(slots=True, eq=False)
class Circuit:
    """One circuit as this process knows it; times in milliseconds by its own clock.

    Args:
        name: ``provider`` or ``provider:EE``.
    """

    name: str
    calls: Calls = field(init=False, repr=False)
    opened: int | None = None
    """None while it is closed."""
    until: int = 0
    """When it may be probed."""
    mark: str = ""
    """Of its opening, once that is shared."""
    probe_until: int = 0
    """Until then this process may begin a probe."""

    def __post_init__(self) -> None:
        self.reset()

    @property
    def country(self) -> str:
        """ISO 3166 alpha-2, or empty for all countries."""
        return self.name.partition(":")[2]

    def reset(self) -> None:
        """Close it, and forget what opened it.

        A provider that refuses one country after another may be sound elsewhere: only failures in two
        countries open it for all, or one of the wire, which is the same for all.
        """
        self.calls = Calls(1 if self.country else 2)
        self.opened, self.until, self.mark, self.probe_until = None, 0, "", 0
