"""How a setting is read: validators that say what is allowed and never repeat what was given.

What was given may be a secret in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sized
from typing import Any, TypeVar

from pydantic import AfterValidator, BeforeValidator

T = TypeVar("T")
S = TypeVar("S", bound=Sized)


def whole(low: int, high: int) -> BeforeValidator:
    """Take a whole number from ``low`` to ``high``, and nothing that only resembles one."""

    def read(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return BeforeValidator(read)


def number(low: float, high: float) -> BeforeValidator:
    """Take a number from ``low`` to ``high``."""

    def read(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise ValueError(f"must be a number from {low:g} to {high:g}")

    return BeforeValidator(read)


def matching(pattern: str, says: str) -> AfterValidator:
    """Take text that is the pattern from end to end; ``says`` is the fault otherwise."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(says)
        return text

    return AfterValidator(read)


def written(kind: type[T], parse: Callable[[str], T]) -> BeforeValidator:
    """Read text by ``parse``; a ready-made value, from code, passes."""

    def read(value: object) -> T:
        return value if isinstance(value, kind) else parse(value if isinstance(value, str) else "")

    return BeforeValidator(read)


def unique(what: Callable[[Any], object], says: str) -> AfterValidator:
    """Take a list in which no two entries share ``what``."""

    def read(values: tuple[T, ...]) -> tuple[T, ...]:
        if len({what(value) for value in values}) < len(values):
            raise ValueError(says)
        return values

    return AfterValidator(read)


def only(value: int, why: str) -> BeforeValidator:
    """Take one figure: another would be a promise that this version does not keep."""

    def read(given: object) -> int:
        if type(given) is not int or given != value:
            raise ValueError(f"must be {value}: {why}")
        return given

    return BeforeValidator(read)


def _not_empty(values: S) -> S:
    if not values:
        raise ValueError("must name at least one")
    return values


NOT_EMPTY = AfterValidator(_not_empty)
"""Refuse an empty list."""
