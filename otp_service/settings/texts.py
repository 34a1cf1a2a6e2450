"""Words of a configuration: names, countries, kinds of line, languages, brands and templates."""

from __future__ import annotations

import re
import string
import unicodedata
from typing import TYPE_CHECKING, Annotated

import phonenumbers
from pydantic import AfterValidator, BeforeValidator

from otp_service.settings.readers import NOT_EMPTY, matching, unique

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

LINE_TYPES = ("mobile", "fixed_or_mobile", "fixed", "voip", "personal", "unknown")
"""Kinds of line that an app may list."""

NEVER_SENT_TO = frozenset({"premium", "shared_cost", "uan", "pager", "satellite"})
"""Kinds of line that no configuration can allow: toll fraud."""

STRATEGIES = ("ordered", "weighted", "adaptive")
"""Ways to put the providers of a route in order."""

LONGEST_BRAND = 30
"""Characters; a text with its code still fits one segment."""

EVERYWHERE = "*"
"""Stands for every country, where a country can stand."""


def _region(text: str) -> str:
    if text.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("must be an ISO 3166 alpha-2 code such as EE")
    return text.upper()


def _region_or_everywhere(text: str) -> str:
    return text if text == EVERYWHERE else _region(text)


def _line_type(text: str) -> str:
    if text in NEVER_SENT_TO:
        raise ValueError(f"{text} numbers are never sent to, because of toll fraud; leave it out")
    if text not in LINE_TYPES:
        raise ValueError(f"must be one of {', '.join(LINE_TYPES)}")
    return text


def _locale(text: str) -> str:
    tag = text.replace("_", "-").lower()
    if not re.fullmatch(r"(?=.{2,35}$)[a-z]{2,8}(-[a-z0-9]{1,8})*", tag):
        raise ValueError("must be a BCP 47 language tag such as en or pt-BR")
    return tag


def _brand(text: str) -> str:
    if not 1 <= len(text) <= LONGEST_BRAND or text != text.strip() or _has_controls(text):
        raise ValueError(f"must be 1 to {LONGEST_BRAND} characters, no line break or control character")
    if re.search(r"\w\.\w", text):
        raise ValueError("must not have a dot between two letters or digits: phones make a link of it")
    return text


def _has_controls(text: str) -> bool:
    # Format characters (Cf) pass: Persian needs its non-joiner, and right-to-left texts their marks.
    return any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)


def _template(needed: Collection[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        try:
            parts = [part for part in string.Formatter().parse(text) if part[1] is not None]
        except ValueError:
            raise ValueError("has a brace that is no part of a placeholder") from None
        if any(not name or form or conversion for _, name, form, conversion in parts):
            raise ValueError("must have plain placeholders such as {code}")
        used = {name for _, name, _, _ in parts}
        if not set(needed) <= used <= {*needed, "brand"}:
            raise ValueError(f"must hold {_braced(needed)}, may hold {{brand}}, and no other placeholder")
        if _has_controls(text.replace("\n", "")):
            raise ValueError("must not have a control character but line breaks")
        return text

    return read


def _braced(names: Collection[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def _strategy(text: str) -> str:
    if text not in STRATEGIES:
        raise ValueError(f"must be one of {', '.join(STRATEGIES)}")
    return text


Name = Annotated[
    str,
    matching(r"[a-z0-9][a-z0-9_-]{0,31}", "must be 1 to 32 of a-z 0-9 _ -, a letter or digit first"),
]
"""What an app, a route, a provider or an operator is called."""

Secret = Annotated[str, matching(r"\S(.*\S)?", "must not be empty, nor begin or end with a space")]
Region = Annotated[str, AfterValidator(_region)]
RegionOrEverywhere = Annotated[str, AfterValidator(_region_or_everywhere)]
Countries = Annotated[
    frozenset[RegionOrEverywhere],
    BeforeValidator(lambda value: [value] if value == EVERYWHERE else value),
    NOT_EMPTY,
]
LineTypes = Annotated[frozenset[Annotated[str, AfterValidator(_line_type)]], NOT_EMPTY]
Locale = Annotated[str, AfterValidator(_locale)]
Brand = Annotated[str, AfterValidator(_brand)]
Template = Annotated[str, AfterValidator(_template(("code",)))]
TransactionTemplate = Annotated[str, AfterValidator(_template(("code", "payee", "amount")))]
Number = Annotated[str, matching(r"\+[1-9][0-9]{6,14}", "must be a number in E.164, such as +37256000000")]
Prefix = Annotated[str, matching(r"\+[1-9][0-9]{0,14}", "must be the beginning of an E.164 number")]
Strategy = Annotated[str, AfterValidator(_strategy)]
Chain = Annotated[tuple[Name, ...], NOT_EMPTY, unique(lambda name: name, "must not name a provider twice")]
