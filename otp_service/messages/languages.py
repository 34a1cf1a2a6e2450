"""The built-in texts, and which language a person gets."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Language:
    """The built-in texts of one language."""

    code: str
    """For a code alone: ``{code}`` and ``{brand}``."""
    transaction: str
    """For a payment: ``{amount}`` and ``{payee}`` too."""
    regions: frozenset[str]
    """ISO 3166 alpha-2 of the countries that get it when no locale is asked for."""


def _read() -> dict[str, Language]:
    tables = tomllib.loads(Path(__file__).with_name("languages.toml").read_text("utf-8"))
    return {
        tag: Language(each["code"], each["transaction"], frozenset(each["regions"].split()))
        for tag, each in tables.items()
    }


LANGUAGES: Mapping[str, Language] = _read()
"""By BCP 47 tag in lower case. Each code text fits one segment with the longest code and a brand of 30."""

# A country's locale: pt-br, zh-tw, de-at. So an app's text for one country serves it too.
_LOCALES = {
    region: f"{tag.partition('-')[0]}-{region.lower()}"
    for tag, language in LANGUAGES.items()
    for region in language.regions
}

_RENAMED = {"in": "id", "iw": "he", "no": "nb"}
"""Language subtags that phones still send, and what they mean (BCP 47 registry; no is mostly Bokmål)."""

_READ_AS = {
    "nn": "nb",
    "sr": "sr-latn",
    "zh": "zh-hans",
    "zh-hk": "zh-hant",
    "zh-mo": "zh-hant",
    "zh-tw": "zh-hant",
}
"""Tags without the script or language of a built-in text, and the one that their readers have (CLDR)."""


def preferred(asked: str | None, region: str, default: str) -> Iterator[str]:
    """Tags to look for, the best first.

    Args:
        asked: The BCP 47 tag asked for, however spelled, if any.
        region: ISO 3166 alpha-2 of the number.
        default: The app's tag.
    """
    for tag in (asked or "", _LOCALES.get(region, ""), default, "en"):
        yield from _lookup(normal(tag))


def normal(tag: str) -> str:
    """The one spelling of a tag: ``iw_IL`` is ``he-il``."""
    # RFC 5646, section 4.4.1: 35 characters hold every tag in use.
    language, dash, rest = tag[:35].replace("_", "-").lower().partition("-")
    return _RENAMED.get(language, language) + dash + rest


def _lookup(tag: str) -> Iterator[str]:
    """A tag, then itself less its last part, and so on (RFC 4647, section 3.4)."""
    while tag:
        yield tag
        if tag in _READ_AS:
            yield _READ_AS[tag]
        tag = tag.rpartition("-")[0]
