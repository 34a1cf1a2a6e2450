"""What a check finds, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, with how to mend it; never a secret or a whole number."""

    level: Level
    text: str

    def __str__(self) -> str:
        return f"{self.level:<4}  {self.text}"


def ok(text: str) -> Finding:
    """As it should be."""
    return Finding(Level.OK, text)


def warn(text: str) -> Finding:
    """It works, but one should know."""
    return Finding(Level.WARN, text)


def fail(text: str) -> Finding:
    """It does not work."""
    return Finding(Level.FAIL, text)
