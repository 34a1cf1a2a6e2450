"""Test numbers: a known code that nobody is sent, for test keys, until a day that the app has set."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from otp_service.verification import Delivery, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otp_service.settings import AppSettings
    from otp_service.verification import Target

PROVIDER: Final = "test_number"
"""What a delivery shows in place of a provider's name."""


class FixedNumbers:
    """Knows which numbers are test numbers now.

    Args:
        now_ms: What the clock of Redis says.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms

    def codes(self, app: AppSettings, *, test: bool) -> Mapping[str, str]:
        """Codes by number, in E.164; none for a live key, nor after a number's last day (UTC)."""
        if not test or not app.test_numbers:
            return {}
        today = datetime.fromtimestamp(self._now_ms() / 1000, UTC).date()
        return {number: entry.code for number, entry in app.test_numbers.items() if today <= entry.until}

    def code(self, app: AppSettings, target: Target) -> str | None:
        """The code of a target that is a test number."""
        return self.codes(app, test=target.test).get(target.to)


def unsent(at: int) -> Delivery:
    """How a message to a test number reads: taken at once, by nobody.

    Args:
        at: Milliseconds since the epoch.
    """
    return Delivery(PROVIDER, Outcome.ACCEPTED, "", segments=0, latency_ms=0, at=at)
