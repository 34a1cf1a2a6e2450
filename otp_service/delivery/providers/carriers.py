"""Carriers that turn e-mail into SMS, and since when they no longer do.

None of them ever promised it, most have ended it, and the rest say little: see the source of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CHECKED: Final = "2026-11-20"
"""The day on which this table was last compared with its sources."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """A carrier and its gateway."""

    name: str
    domain: str
    """Mail to ``5551234567@domain`` becomes a message to that number."""
    dead_since: str
    """ISO 8601, to the month where the day is not known; empty where no end is known."""
    source: str
    """Where the end is from; the best there is, which is not always the carrier itself."""

    def dead(self, today: str) -> bool:
        """Whether mail to it is lost.

        Args:
            today: ISO 8601, to the day.
        """
        return bool(self.dead_since) and self.dead_since <= today


CARRIERS: Final[dict[str, Carrier]] = {
    "alltel": Carrier(
        "Alltel", "message.alltel.com", "2025-04", "no A or MX record on 2025-04-08 (vufind-org/vufind #4327)"
    ),
    "att": Carrier("AT&T", "txt.att.net", "2025-06-17", "AT&T support, article KM1061254"),
    "bell": Carrier(
        "Bell Mobility", "txt.bell.ca", "2025-10", "notice to customers (mfitzp/List_of_SMS_gateways #26)"
    ),
    "boost": Carrier("Boost Mobile", "sms.myboostmobile.com", "", "no end announced that we know of"),
    "cricket": Carrier(
        "Cricket",
        "sms.cricketwireless.net",
        "2025-06-17",
        "on AT&T's network; presumed to have ended with it",
    ),
    "googlefi": Carrier("Google Fi", "msg.fi.google.com", "", "no end announced that we know of"),
    "metropcs": Carrier(
        "Metro by T-Mobile",
        "mymetropcs.com",
        "2024-12",
        "on T-Mobile's network; presumed to have ended with it",
    ),
    "nextel": Carrier(
        "Nextel",
        "messaging.nextel.com",
        "2025-04",
        "no A or MX record on 2025-04-08 (vufind-org/vufind #4327)",
    ),
    "rogers": Carrier(
        "Rogers and Fido", "pcs.rogers.com", "2023-07", "mfitzp/List_of_SMS_gateways #19 and #21"
    ),
    "sprint": Carrier(
        "Sprint",
        "messaging.sprintpcs.com",
        "2025-04",
        "no A or MX record on 2025-04-08 (vufind-org/vufind #4327)",
    ),
    "tmobile": Carrier("T-Mobile US", "tmomail.net", "2024-12", "third parties: sigspan.com, textbolt.com"),
    "uscellular": Carrier("UScellular", "email.uscc.net", "", "no end announced that we know of"),
    "verizon": Carrier("Verizon", "vtext.com", "2027-03-31", "third parties: sigspan.com, textbolt.com"),
    "virgin": Carrier("Virgin Mobile USA", "vmobl.com", "2020", "the brand was closed"),
    "vodafone_cz": Carrier("Vodafone CZ", "vodafonemail.cz", "2023-02", "mfitzp/List_of_SMS_gateways #16"),
}
