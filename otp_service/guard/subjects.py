"""What a send is counted under besides its number, and the rules there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from otp_service.guard.clients import bucket
from otp_service.guard.spend import EVERY_NUMBER, micro
from otp_service.keyring import name
from otp_service.phone import block
from otp_service.store.ledgers import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otp_service.keyring import Keyring
    from otp_service.phone import Phone
    from otp_service.settings import AppSettings, GuardSettings, Money, Window

SPEND_CAP: Final = "spend_cap"
INSTALLATION: Final = ""
"""What its money is called beside that of its apps."""

REGION: Final = "unconverted_per_region"
BLOCK: Final = "sends_per_block"
PUMPING: Final = "pumping_suspected"

CONVERSION: Final = {
    "least": 20,  # verifications; fewer say nothing
    "warns": 50,  # percent
    "closes": 20,  # percent
    "closed": 43_200_000,  # 12 h; also how long a warning is good for
}

VERIFIED_DAYS: Final = 90

COUNTRIES: Final = 3
"""A client's address that sends to more in a day raises an alarm; people have numbers of one or two."""

VERIFIED: Final = 2
CONVERTING: Final = 1
TRUSTS: Final = {BLOCK: VERIFIED, PUMPING: VERIFIED, SPEND_CAP: VERIFIED, REGION: CONVERTING}
"""What a number must be to pass a rule: verified before; or, where a region's approvals are to outweigh what
is not approved, of a block where they do so by themselves."""

_TAG: Final = 10
"""Characters, 50 bits: nobody without the index key can look for two subjects of one tag."""


@dataclass(frozen=True, slots=True)
class Send:
    """One send, as it is counted.

    Args:
        app: Whose.
        phone: To whom.
        number: What the number is called in Redis.
        cost: At most, in micro-units of money.
        address: Tag of the client's address; "" for none, and for every send but a start.
        session: Tag of the client's session, likewise.
        starts: Whether it begins a verification.
    """

    app: AppSettings
    phone: Phone
    number: str
    cost: int = 0
    address: str = ""
    session: str = ""
    starts: bool = False


class Subjects:
    """Names what is counted, and knows the rules.

    Args:
        keyring: Names it.
        guard: Mode and prefixes.
        spend_cap: The installation's, a day.
    """

    def __init__(self, keyring: Keyring, guard: GuardSettings, spend_cap: Money | None) -> None:
        self._keyring = keyring
        self._guard = guard
        self._spend_cap = spend_cap

    def address(self, app: AppSettings, address: str | None) -> str:
        """The tag of a client's address; "" for none that counts."""
        found = bucket(address)
        return self._tag("address", app, found) if found else ""

    def session(self, app: AppSettings, session: str | None) -> str:
        """The tag of a client's session; "" for none."""
        return self._tag("session", app, session) if session else ""

    def of(self, send: Send) -> list[Ledger]:
        """All ledgers of a send."""
        return [*self._client(send), *self._numbers(send), *self._money(send)]

    def of_approval(self, send: Send) -> list[Ledger]:
        """Those that an approval gives something back in."""
        return [
            each for each in (*self._client(send), *self._numbers(send)) if each.rule != "starts_per_session"
        ]

    def block(self, app: AppSettings, phone: Phone, number: str = "") -> Ledger:
        """The 1,000 numbers around a number."""
        figures = (
            _windows(app.limits.sends_per_block)
            | CONVERSION
            | {
                "number": number[:6],
                "lifetime": app.ttl_seconds * 1000,
                "verified_days": VERIFIED_DAYS,
                "mode": self._mode(phone),
                "warning": "block_conversion",
            }
        )
        return Ledger("block", self._tag("block", app, block(phone.e164)), BLOCK, figures)

    def _client(self, send: Send) -> Iterator[Ledger]:
        limits = send.app.limits
        for rule, tag, windows in (
            ("starts_per_address", send.address, limits.starts_per_address),
            ("starts_per_session", send.session, limits.starts_per_session),
        ):
            if tag and windows:
                figures = _windows(windows) | {"mode": "enforce"}
                if rule == "starts_per_address" and send.phone.region:
                    figures |= {"region": send.phone.region, "countries": COUNTRIES}
                yield Ledger("windows", tag, rule, figures)

    def _numbers(self, send: Send) -> Iterator[Ledger]:
        app, phone = send.app, send.phone
        if app.limits.sends_per_block:
            found = self.block(app, phone, send.number)
            yield replace(found, figures={**found.figures, "starts": send.starts})
        if app.limits.unconverted_per_region is None:
            return
        figures: dict[str, Any] = CONVERSION | {
            "amount": 1,
            "lifetime": app.ttl_seconds * 1000,
            "mode": self._mode(phone),
        }
        yield Ledger(
            "region",
            f"region:{app.name}:{phone.region}",
            REGION,
            figures | {"limit": app.limits.unconverted_per_region, "warning": "region_conversion"},
        )
        if len(COUNTRY_CODE_TO_REGION_CODE.get(phone.calling_code, ())) > 1:  # elsewhere it is the region
            yield Ledger(
                "region",
                f"region:{app.name}:+{phone.calling_code}",
                REGION,
                figures | {"warning": "code_conversion"},
            )

    def _money(self, send: Send) -> Iterator[Ledger]:
        # Under one tag: of two sends that compete for the last unit of both caps, each could else get one.
        for name_, cap in ((send.app.name, send.app.spend_cap), (INSTALLATION, self._spend_cap)):
            if cap and send.cost:
                line = micro(cap) * EVERY_NUMBER // 100
                figures = {
                    "amount": send.cost,
                    "cap": micro(cap),
                    "line": line,
                    "limit": line,
                    "mode": "enforce",
                }
                yield Ledger("money", "money", SPEND_CAP, figures, name_)

    def _mode(self, phone: Phone) -> str:
        return "pass" if phone.e164.startswith(self._guard.safe) else self._guard.mode

    def _tag(self, label: str, app: AppSettings, subject: bytes | str) -> str:
        return name(self._keyring.index(label, app.name, subject))[:_TAG]


def trusted(ledger: Ledger, trust: int) -> Ledger:
    """The same for a number of so much trust: without its rule, or with the whole of its cap."""
    if trust < TRUSTS.get(ledger.rule, VERIFIED + 1):
        return ledger
    figures = dict(ledger.figures)
    changed = {"limit": figures["cap"]} if ledger.kind == "money" else {"mode": "pass"}
    return replace(ledger, figures=figures | changed)


def _windows(windows: Sequence[Window]) -> dict[str, Any]:
    found = [(window.limit, window.seconds * 1000) for window in windows]
    return {"windows": found, "memory": max((length for _, length in found), default=0)}
