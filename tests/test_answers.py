"""What the scripts answer, read and told: with the words that a caller goes by."""

from __future__ import annotations

from typing import Any

import pytest

from otp_service.errors import (
    IdempotencyInProgress,
    IdempotencyMismatch,
    Problem,
    VerificationClosed,
    VerificationNotFound,
)
from otp_service.store.answers import STATUSES, Settled, limit, refuse, seconds, table
from otp_service.verification import RateLimit, Status

SPOKEN = {
    "p": "The last check is being compared. Fetch the verification to see what came of it.",
    "a": "The verification is approved and takes nothing more. Start a new one.",
    "c": "The verification is canceled and takes nothing more. Start a new one.",
    "e": "The verification is expired and takes nothing more. Start a new one.",
    "m": "The verification is max attempts reached and takes nothing more. Start a new one.",
    "f": "The verification is failed and takes nothing more. Start a new one.",
}


def test_a_hash_comes_as_names_and_values() -> None:
    assert table([b"a", b"1", b"b", b"\xff"]) == {"a": b"1", "b": b"\xff"}
    assert table([]) == {}


def test_a_hash_with_a_name_too_many_is_no_hash() -> None:
    with pytest.raises(ValueError, match="shorter"):
        table([b"a", b"1", b"b"])


@pytest.mark.parametrize(
    ("code", "rest", "kind", "says", "wait"),
    [
        ("missing", [], VerificationNotFound, None, None),
        (
            "mismatch",
            [],
            IdempotencyMismatch,
            "This Idempotency-Key was used with another path or body. Use a new key.",
            None,
        ),
        (
            "busy",
            [b"1001"],
            IdempotencyInProgress,
            "The first request with this Idempotency-Key is still at work. Ask again with the same key.",
            2,
        ),
        ("closed", [b"c"], VerificationClosed, SPOKEN["c"], None),
    ],
)
def test_a_refusal_says_what_to_do(
    code: str, rest: list[Any], kind: type[Problem], says: str | None, wait: int | None
) -> None:
    with pytest.raises(kind) as refused:
        refuse(code, rest)
    assert (refused.value.detail, refused.value.retry_after) == (says or VerificationNotFound().detail, wait)


def test_what_refuses_nothing_passes() -> None:
    refuse("open", [])


@pytest.mark.parametrize("letter", STATUSES)
def test_a_closed_verification_says_why_and_what_now(letter: str) -> None:
    with pytest.raises(VerificationClosed) as closed:
        refuse("closed", [letter.encode()])
    assert (closed.value.detail, closed.value.verification_status) == (SPOKEN[letter], STATUSES[letter])
    assert closed.value.replayed is False


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"approved:2:1700000000123", Settled("approved", 2, "a", approved_ms=1_700_000_000_123)),
        (b"wrong:3:p", Settled("wrong", 3, "p")),
        (b"wrong:5:m:alarm", Settled("wrong", 5, "m", alarm=True)),
    ],
)
def test_a_settled_check_is_read_as_it_was_kept(text: bytes, read: Settled) -> None:
    assert Settled.read(text) == read


def test_a_check_that_came_too_late_was_refused() -> None:
    with pytest.raises(VerificationClosed) as closed:
        Settled.read(b"closed:e")
    assert closed.value.verification_status is Status.EXPIRED


def test_a_window_is_told_in_whole_seconds_rounded_up() -> None:
    state = [b"sends_per_number", b"5", b"3600000", b"4", b"1001"]
    assert limit(state) == RateLimit("sends_per_number", 5, 3600, 4, 2)
    assert limit([]) is None


@pytest.mark.parametrize(("ms", "told"), [(-5, 1), (0, 1), (1, 1), (1000, 1), (1001, 2), (60_000, 60)])
def test_a_wait_is_at_least_a_second(ms: int, told: int) -> None:
    assert seconds(ms) == told
