"""The budgets of a number: what a start and every send must stay within."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_service.store.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otp_service.settings import AppSettings, Window
    from otp_service.store.keys import Events


def of_start(app: AppSettings, installation: Sequence[Window], events: Events) -> list[Budget]:
    """What a start must stay within.

    Args:
        app: Its limits.
        installation: Windows for the sends to one number over all apps.
        events: What the verification is called among the events of its number.
    """
    live = app.limits.live_verifications
    lifetime = ((live, app.ttl_seconds * 1000),) if live else ()
    failed = _windows(app.limits.failed_checks_per_number)
    rows = [
        Budget("failed_checks_per_number", events.failures, 0, "", failed),
        Budget("live_verifications", events.live_prefix, 8, events.live, lifetime),
    ]
    return [*_limited(rows), *of_send(app, installation, events)]


def of_send(app: AppSettings, installation: Sequence[Window], events: Events) -> list[Budget]:
    """What a send must stay within: the app's windows and the installation's.

    The event is that of a first send; a later one gets its number where it is counted.
    """
    member = events.send(1)
    rows = [
        Budget("sends_per_number", events.app_sends, 0, member, _windows(app.limits.sends_per_number)),
        Budget("sends_per_number", events.all_sends, 0, member, _windows(installation)),
    ]
    return _limited(rows)


def _limited(rows: Sequence[Budget]) -> list[Budget]:
    """Those that limit anything: `otp-service dev` switches budgets off."""
    return [row for row in rows if row.windows]


def _windows(windows: Sequence[Window]) -> tuple[tuple[int, int], ...]:
    return tuple((window.limit, window.seconds * 1000) for window in windows)
