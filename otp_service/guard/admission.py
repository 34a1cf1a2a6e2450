"""Countries and line types: where an app sends at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otp_service.errors import Blocked
from otp_service.phone import LineType

if TYPE_CHECKING:
    from otp_service.phone import Phone
    from otp_service.settings import AppSettings

NEVER: Final = frozenset(
    {
        LineType.PREMIUM,
        LineType.SHARED_COST,
        LineType.UAN,
        LineType.PAGER,
        LineType.SATELLITE,
        LineType.VOICEMAIL,
    }
)
"""Line types that somebody earns on, or that nobody reads: no configuration opens them."""


def admit(app: AppSettings, phone: Phone, deny: tuple[str, ...] = ()) -> None:
    """Let a number of the app's countries and line types pass.

    Args:
        app: Lists them.
        phone: The number.
        deny: Prefixes that are never sent to.

    Raises:
        Blocked: ``denied``, ``number_type`` or ``country_not_allowed``; nothing was sent.
    """
    if phone.e164.startswith(deny):
        raise denied()
    if phone.line_type in NEVER or phone.line_type.value not in app.line_types:
        raise Blocked(
            "Codes are not sent to numbers of this type. Ask for a mobile number.", reason="number_type"
        )
    if "*" not in app.countries and phone.region not in app.countries:
        raise Blocked(
            "Codes are not sent to this country. The app's countries are listed in its configuration.",
            reason="country_not_allowed",
        )


def denied() -> Blocked:
    """A number that codes are not sent to; only the operator is told why."""
    return Blocked("Codes are not sent to this number. Ask for another one.", reason="denied")
