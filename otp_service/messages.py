"""What the person reads: an app's templates, the language to choose, the line that autofill looks for."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_service.errors import InvalidRequest
from otp_service.segments import segments
from otp_service.verification import Transaction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Language:
    """The built-in texts of one language."""

    code: str
    """For a code alone: ``{code}`` and ``{brand}``."""
    transaction: str
    """For a payment: ``{amount}`` and ``{payee}`` too."""
    regions: frozenset[str]
    """ISO 3166 alpha-2 of the countries that get it when no locale is asked for."""


LANGUAGES: Mapping[str, Language] = {
    "en": Language(
        "{code} is your {brand} code.",
        "{code} is your {brand} code to pay {amount} to {payee}.",
        frozenset({"AU", "GB", "IE", "NZ", "US"}),
    ),
}
"""By BCP 47 tag in lower case. Each text fits one segment with the longest code and a brand of 20."""

LONGEST_CODE = "0" * 10

_BY_REGION = {region: tag for tag, language in LANGUAGES.items() for region in language.regions}
_CODES = {tag: language.code for tag, language in LANGUAGES.items()}
_TRANSACTIONS = {tag: language.transaction for tag, language in LANGUAGES.items()}

_PLACEHOLDER = re.compile(r"\{(\w*)\}", re.ASCII)
_ANDROID_HASH = re.compile(r"[A-Za-z0-9+/]{11}")

# Tested on the shape of a text, in which a letter is "a" and a digit "9" whatever its script. A dot between
# two of them makes a link on most phones, and so puts the payee's words into the sender's mouth.
_PAYEE = re.compile(r"(?!.*[a9]\.[a9])(?=.*[a9])[a9 .,'&€$£-]{1,50}")
_AMOUNT = re.compile(r"(?!.*(?:a\.[a9]|9\.a))(?=.*9)[a9 .,'&€$£-]{1,20}")


class Templates:
    """The texts of one app.

    Args:
        brand: The app's name as its users know it.
        locale: BCP 47 tag of the language for those of whom nothing is known.
        codes: Texts for a code by BCP 47 tag; they take the place of the built-in ones.
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
        self._codes = _CODES | {_tag(tag): _nfc(text) for tag, text in codes.items()}
        self._transactions = _TRANSACTIONS | {_tag(tag): _nfc(text) for tag, text in transactions.items()}
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

        Args:
            code: 4 to 10 letters or digits.
            locale: The BCP 47 tag asked for, else that of ``region``; an unknown one is no fault.
            region: ISO 3166 alpha-2 of the number.
            transaction: As ``read_transaction`` made it.
            autofill: ``{"web": host}`` or ``{"android": app hash}``.

        Raises:
            InvalidRequest: No text for a transaction in this language, a host that is not the app's, a hash
                that is none, or a text that with its autofill line is longer than 140 bytes.
        """
        values = {"code": code, "brand": self._brand}
        if transaction:
            values |= {"payee": transaction.payee, "amount": transaction.amount}
        text = _fill(self._template(locale, region, paying=transaction is not None), values)
        if autofill is None:
            return text
        text = f"{text}\n\n{self._last_line(autofill, code)}"
        if segments(text).count > 1:  # one segment is 140 bytes, which is all that Android's retriever reads
            raise _invalid(
                "/autofill", "The message with its autofill line is longer than 140 bytes; leave it out."
            )
        return text

    def _template(self, locale: str | None, region: str, *, paying: bool) -> str:
        texts = self._transactions if paying else self._codes
        wanted = locale or _BY_REGION.get(region, "")
        tags = [*_lookup(wanted), *_lookup(self._locale)] + ([] if paying else ["en"])
        found = next((texts[tag] for tag in tags if tag in texts), None)
        if found is None:
            raise _invalid("/transaction", "This app has no transaction text in this locale or its default.")
        return found

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
    """Say all that is wrong with a template, a sentence each.

    Args:
        template: Text with ``{code}``, ``{brand}`` and, for a transaction, ``{amount}`` and ``{payee}``.
        brand: The app's name.
        transaction: Whether this is a text for a payment, which may take a second segment.
        autofill_hosts: Hosts whose autofill line must fit into the segment too.
    """
    needed = {"code", "amount", "payee"} if transaction else {"code"}
    used = set(_PLACEHOLDER.findall(template))
    faults = [f"It lacks {{{name}}}." for name in sorted(needed - used)]
    faults += [f"It has no value for {{{name}}}." for name in sorted(used - needed - {"brand"})]
    if re.search(r"[{}]", _PLACEHOLDER.sub("", template)):
        faults.append("A brace that is not part of a placeholder cannot be sent.")
    if faults or transaction:
        return faults
    text = _fill(_nfc(template), {"code": LONGEST_CODE, "brand": _nfc(brand)})
    lines = ["", *(f"@{host} #{LONGEST_CODE}" for host in autofill_hosts)]
    return [fault for line in lines if (fault := _too_long(text, line))][:1]


def read_transaction(payee: str, amount: str) -> Transaction:
    """Check what a caller wants the person to read; nothing else of a request reaches the text.

    Args:
        payee: 1 to 50 letters, digits, spaces and ``.,'&-€$£``, no dot between two letters or digits.
        amount: 1 to 20 of the same with at least one digit; a dot may stand between two digits.

    Raises:
        InvalidRequest: Either is something else.
    """
    payee, amount = _nfc(payee), _nfc(amount)
    allowed = "letters, digits, spaces and .,'&-€$£"
    if not _PAYEE.fullmatch(_shape(payee)):
        raise _invalid("/transaction/payee", f"1 to 50 {allowed}; no dot between two letters or digits.")
    if not _AMOUNT.fullmatch(_shape(amount)):
        raise _invalid(
            "/transaction/amount", f"1 to 20 {allowed}, with a digit; a dot only between two digits."
        )
    return Transaction(payee, amount)


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Put values in once: no attribute is followed, and no value is read as a template."""
    return _PLACEHOLDER.sub(lambda placeholder: values[placeholder[1]], template)


def _too_long(text: str, line: str) -> str | None:
    size = segments(f"{text}\n\n{line}" if line else text)
    if size.count == 1:
        return None
    what = f"With the line {line} it" if line else "It"
    return f"{what} takes {size.count} segments with the longest code: {size.units} units of {size.encoding}."


def _lookup(tag: str) -> Iterator[str]:
    """A tag, then itself less its last part, and so on (RFC 4647, section 3.4)."""
    tag = _tag(tag)
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]


def _tag(text: str) -> str:
    return text[:35].replace("_", "-").lower()  # RFC 5646, section 4.4.1: 35 characters hold every tag in use


def _shape(text: str) -> str:
    return "".join(map(_kind, text))


def _kind(character: str) -> str:
    if character.isdecimal():
        return "9"
    # Marks are the vowels of many scripts. "a" itself must come from here only.
    return "a" if unicodedata.category(character)[0] in "LM" else character


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _invalid(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=({"pointer": pointer, "detail": detail},))
