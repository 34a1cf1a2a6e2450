"""Who a message comes from, which is not the same in every country."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from otp_service.delivery.provider import Answer, Outcome

if TYPE_CHECKING:
    from otp_service.settings import ProviderSettings

NUMERIC_ONLY: Final = frozenset({*COUNTRY_CODE_TO_REGION_CODE[1], "CN"})
"""North America (calling code 1) and China, whose carriers drop what comes from a name."""


def sender_for(region: str, section: ProviderSettings, default: str | None = None) -> str | Answer | None:
    """The sender of a message to a region: the region's own, else the section's, else the provider's default.

    Args:
        region: ISO 3166 alpha-2.
        section: The provider's section.
        default: What the provider puts where we put nothing.

    Returns:
        None to leave it to the provider; ``sender_not_allowed`` when the region takes only numbers and there
        are only names.
    """
    known = [sender for sender in (section.senders.get(region), section.sender, default) if sender]
    usable = [sender for sender in known if region not in NUMERIC_ONLY or re.fullmatch(r"\+?\d+", sender)]
    if known and not usable:
        return Answer(Outcome.UNAVAILABLE, "sender_not_allowed")
    return usable[0] if usable else None
