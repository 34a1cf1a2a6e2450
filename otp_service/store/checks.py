"""Failed checks over all of an app: how many, and whether that is far above its usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otp_service.store import keys

if TYPE_CHECKING:
    from otp_service.store.scripts import Scripts

LEAST: Final = 100
"""Failed checks in the newest half to whole hour; fewer are nothing to worry about."""

FACTOR: Final = 5
"""Times the mean hour of the day before: the busiest hour of a day has two or three times its mean."""

LASTS_MS: Final = 3_600_000
"""An alarm lasts so long after what raised it."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Whether far more checks fail than usual.

    Args:
        on: Now.
        began: With this call.
        failed: In the newest half to whole hour.
        usual: In a mean hour of the day before.
    """

    on: bool
    began: bool
    failed: int
    usual: int


class Checks:
    """The failed checks of all apps.

    Args:
        scripts: Runs the scripts.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    async def failed(self, app: str, more: int) -> Alarm:
        """Count failed checks of an app, and hear how it stands.

        If the reply is lost, the script runs again: then the checks of one second count double.

        Args:
            app: Its name.
            more: How many failed.

        Raises:
            StoreUnavailable: Redis did not answer.
        """
        arguments = {"failed": more, "least": LEAST, "factor": FACTOR, "lasts": LASTS_MS}
        _, _, on, began, failed, usual = await self._scripts.run("watch", [keys.checks(app)], arguments)
        return Alarm(bool(on), bool(began), failed, usual)
