"""The texts of an app, what may be wrong with them, and the line that autofill looks for."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from otp_service.errors import InvalidRequest
from otp_service.messages.direction import kept_in_order
from otp_service.messages.languages import LANGUAGES, normal, preferred
from otp_service.segments import segments

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from otp_service.verification import Transaction

LONGEST_CODE = "0" * 10

_CODES = {tag: language.code for tag, language in LANGUAGES.items()}
_TRANSACTIONS = {tag: language.transaction for tag, language in LANGUAGES.items()}

_PLACEHOLDER = re.compile(r"\{(\w*)\}", re.ASCII)
_LINK = re.compile(r"\w[.@]\w|://")
_ANDROID_HASH = re.compile(r"[A-Za-z0-9+/]{11}")


class Templates:
    """The texts of one app.

    Args:
        brand: The app's name as its users know it.
        locale: BCP 47 tag of the language for those of whom nothing is known.
        codes: Texts for a code by BCP 47 tag; they take the place of the built-in ones, those of narrower
            tags too.
        transactions: Texts for a payment, likewise.
        autofill_hosts: Hosts that may stand in the autofill line.
    """

    def __init__(
        self,
        brand: str,
        locale: str,
        codes: Mapping[str, str],
        transactions: Mapping[str, str],
        autofill_hosts: Collection[str] = (),
    ) -> None:
        self._brand = _nfc(brand)
        self._locale = locale
        self._codes = _replaced(_CODES, codes)
        self._transactions = _replaced(_TRANSACTIONS, transactions)
        self._hosts = frozenset(autofill_hosts)

    def render(
        self,
        code: str,
        locale: str | None,
        region: str,
        transaction: Transaction | None,
        autofill: Mapping[str, str] | None,
    ) -> str:
        """Write the message; what can be wrong shows here, so render before anything is counted or stored.

        The language is the one asked for, else the country's, the app's or English. With an autofill line, it
        is the first of these in which text and line fit into 140 bytes.

        Args:
            code: 4 to 10 digits.
            locale: The BCP 47 tag asked for; an unknown one is no fault.
            region: ISO 3166 alpha-2 of the number.
            transaction: As ``read_transaction`` made it.
            autofill: ``{"web": host}`` or ``{"android": app hash}``.

        Raises:
            InvalidRequest: A host that is not the app's, a hash that is none, or no text that fits.
        """
        values = {"code": code, "brand": self._brand}
        if transaction:
            values |= {"payee": transaction.payee, "amount": transaction.amount}
        templates = self._transactions if transaction else self._codes
        tags = preferred(locale, region, self._locale)
        texts = (_fill(templates[tag], values) for tag in tags if tag in templates)
        if autofill is None:
            return next(texts)
        line = self._last_line(autofill, code)
        for text in texts:
            message = f"{text}\n\n{line}"
            if segments(message).count == 1:  # 140 bytes, which is all that Android's retriever reads
                return message
        raise _invalid(
            "/autofill", "The message with its autofill line is longer than 140 bytes; leave it out."
        )

    def _last_line(self, autofill: Mapping[str, str], code: str) -> str:
        match [*autofill.items()]:
            case [("web", host)] if host in self._hosts:
                return f"@{host} #{code}"  # wicg.github.io/sms-one-time-codes: the last line, exactly so
            case [("android", app_hash)] if _ANDROID_HASH.fullmatch(app_hash):
                return app_hash
            case [("web", _)]:
                raise _invalid("/autofill/web", "The host is not one of the app's autofill_hosts.")
            case [("android", _)]:
                raise _invalid("/autofill/android", "An app hash is 11 characters of A-Z a-z 0-9 + /.")
        raise _invalid("/autofill", 'Autofill is {"web": host} or {"android": app hash}.')


def template_faults(
    template: str, brand: str, *, transaction: bool = False, autofill_hosts: Collection[str] = ()
) -> list[str]:
    """Say what a template must be and is not.

    A text for a payment may take a second segment for a long name or sum, but not for the shortest.

    Args:
        template: Text with ``{code}``, ``{brand}`` and, for a transaction, ``{amount}`` and ``{payee}``.
        brand: The app's name.
        transaction: Whether this is a text for a payment.
        autofill_hosts: Hosts whose autofill line must fit too, as the hash of any Android app must.
    """
    faults = _form_faults(template, {"code", "amount", "payee"} if transaction else {"code"})
    if faults:
        return faults
    values = {"code": LONGEST_CODE, "brand": _nfc(brand), "amount": "0", "payee": "A"}
    text = _fill(_nfc(template), values)
    lines = {f"@{host} #{LONGEST_CODE}": f"the line for {host}" for host in autofill_hosts}
    lines |= {"a" * 11: "an Android app's hash"}
    longest = max(lines, key=len)
    checks = [("", text), (f"{lines[longest]} and ", f"{text}\n\n{longest}")]
    return [fault for what, message in checks if (fault := _too_long(what, message))][:1]


def _form_faults(template: str, needed: Collection[str]) -> list[str]:
    names = _PLACEHOLDER.findall(template)
    faults = []
    if not set(needed) <= set(names) <= {*needed, "brand"}:
        braced = ", ".join(f"{{{name}}}" for name in sorted(needed))
        faults.append(f"must hold {braced}, may hold {{brand}}, and no other placeholder")
    if re.search(r"[{}]", _PLACEHOLDER.sub("", template)):
        faults.append("must have no brace but those of its placeholders")
    if names.count("code") > 1:
        faults.append("must hold {code} once")
    if _LINK.search(template.partition("{code}")[0]):
        faults.append("must have {code} before anything that phones make a link of")
    return faults


def _too_long(what: str, message: str) -> str | None:
    size = segments(message)
    if size.count == 1:
        return None
    fit, why = 160, ""
    if size.encoding == "UCS-2":
        character = next(each for each in message if segments(each).encoding == "UCS-2")
        fit, why = 70, f", because of {character!r}"
    return (
        f"must fit one segment with {what}a code of {len(LONGEST_CODE)} digits: "
        f"it has {size.units} units of {size.encoding}{why}, of which {fit} fit"
    )


def _replaced(built_in: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """An app with a text for ``pt`` gives it to Brazil too, unless it has another for ``pt-br``."""
    own = {normal(tag): _nfc(text) for tag, text in own.items()}
    wider = tuple(f"{tag}-" for tag in own)
    return {tag: text for tag, text in built_in.items() if not tag.startswith(wider)} | own


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Put values in once: no attribute is followed, and no value is read as a template."""
    values = kept_in_order(template, values)
    return _PLACEHOLDER.sub(lambda placeholder: values[placeholder[1]], template)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _invalid(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=({"pointer": pointer, "detail": detail},))
