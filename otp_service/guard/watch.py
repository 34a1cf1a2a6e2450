"""What a process tells the others, and hears from them, once a second: failed checks, and operators' locks.

Nobody waits for it. While Redis is down, each process goes by what it knows.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from otp_service import events
from otp_service.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otp_service.events import Listener
    from otp_service.guard.locks import Locks
    from otp_service.settings import AppSettings
    from otp_service.store.checks import Checks

EVERY_SECONDS: Final = 1.0


class Watch:
    """Keeps an eye on what all processes do together.

    Args:
        checks: Failed checks of all processes.
        locks: This process's copy.
        apps: Those that may ask for longer codes under attack hear of it although no check fails here.
        tell: Hears of an alarm, once.
    """

    def __init__(self, checks: Checks, locks: Locks, apps: Iterable[AppSettings], tell: Listener) -> None:
        self._checks = checks
        self._locks = locks
        self._wary = {app.name for app in apps if app.code_length_under_attack}
        self._tell = tell
        self._failed: Counter[str] = Counter()
        self._attacked: set[str] = set()

    def failed(self, app: str) -> None:
        """Note a failed check."""
        self._failed[app] += 1

    def code_length(self, app: AppSettings) -> int:
        """Digits of an app's next code: more while somebody guesses, where the app wants that."""
        longer = app.code_length_under_attack if app.name in self._attacked else None
        return max(app.code_length, longer or 0)

    async def run(self) -> None:
        """Look once a second until canceled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Tell what this process counted, and hear what all did."""
        try:
            await asyncio.gather(
                self._locks.refresh(), *(self._exchange(app) for app in self._wary | set(self._failed))
            )
        except StoreUnavailable:
            pass  # the next look may find it
        except Exception:
            logging.getLogger("otp_service").exception("locks and failed checks were not looked at")

    async def _exchange(self, app: str) -> None:
        failed = self._failed.pop(app, 0)
        alarm = await self._checks.failed(app, failed)
        (self._attacked.add if alarm.on else self._attacked.discard)(app)
        if alarm.began:
            self._tell(events.ChecksFailing(app, alarm.failed, alarm.usual))
