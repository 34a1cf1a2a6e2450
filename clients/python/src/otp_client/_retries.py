"""Which failures are worth another try, and how long to wait before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._errors import ConnectionFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._errors import OtpError

BASE_SECONDS = 0.5
CAP_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Retries:
    """Exponential backoff with full jitter; a Retry-After is its floor.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Args:
        most: Tries after the first.
        rng: A number from 0 up to 1 at each call.
    """

    most: int
    rng: Callable[[], float]

    def wait(self, done: int, error: OtpError) -> float | None:
        """Seconds before the next try; None when the error is final.

        Args:
            done: Retries so far.
            error: What the last try came to.
        """
        floor = error.retry_after or 0
        if done >= self.most or floor > CAP_SECONDS or not may_pass(error):
            return None
        # On top of the floor, so that those told the same number do not return together.
        return floor + self.rng() * min(CAP_SECONDS, BASE_SECONDS * 2.0**done)


def may_pass(error: OtpError) -> bool:
    """Whether another try, under the same key, can help."""
    # Not 429: a person is waiting, and the caller has something to tell them. Not 502: that answer is kept.
    passing = error.status in {408, 503} or error.code == "idempotency_in_progress"
    return passing or isinstance(error, ConnectionFailed)
