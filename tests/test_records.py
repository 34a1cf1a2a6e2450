"""A verification as Redis holds it: written by one version, read by the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from otp_service.settings import AppSettings, Settings
from otp_service.store.answers import NewSend, Opened, Opening, Operation
from otp_service.store.place import Place
from otp_service.store.records import MAY_HAVE_GONE, Record, outcome_letter, pack
from otp_service.verification import (
    Delivery,
    Outcome,
    RateLimit,
    ReceiptState,
    Status,
    Target,
    Verification,
    VerificationId,
)
from tests.lab import NUMBER, tables

CREATED = 1_700_000_000_000
FIRST = Delivery("smspm", Outcome.UNKNOWN, "no_answer", segments=1, latency_ms=3000, at=CREATED + 10)
SECOND = Delivery("twilio", Outcome.ACCEPTED, "", segments=2, latency_ms=143, at=CREATED + 3010)
RECORD = Record(
    now_ms=CREATED + 5000,
    status=Status.PENDING,
    purpose="login",
    created_ms=CREATED,
    ttl_ms=600_000,
    key_id="k1",
    length=6,
    checks=2,
    sends=1,
    cooldown_ms=30_000,
    sealed=b"sealed",
    deliveries={(1, 1): FIRST, (1, 2): SECOND},
)
FIELDS: dict[bytes, bytes] = {
    b"a": b"web",
    b"p": b"login",
    b"s": b"p",
    b"c": str(CREATED).encode(),
    b"t": b"600000",
    b"k": b"k1",
    b"l": b"6",
    b"n": b"2",
    b"m": b"1",
    b"w": b"30000",
    b"d1.2": b"twilio,0,2,143,3010,",
    b"d1.1": b"smspm,4,1,3000,10,no_answer",
}


@pytest.fixture
def app() -> AppSettings:
    return Settings.model_validate(tables("unix:///x")).apps["web"]


def flat(**more: bytes) -> list[bytes]:
    fields = FIELDS | {name.replace("_", ".").encode(): value for name, value in more.items()}
    return [part for pair in fields.items() for part in pair]


def test_a_record_is_read_as_it_was_written() -> None:
    assert Record.read(CREATED + 5000, b"p", flat(), b"sealed") == RECORD


def test_its_status_is_what_the_script_made_of_it() -> None:
    assert Record.read(CREATED, b"e", flat(), b"sealed").status is Status.EXPIRED


@pytest.mark.parametrize(
    ("kept", "state"),
    [(b"sent", ReceiptState.SENT), (b"delivered", ReceiptState.DELIVERED), (b"failed", ReceiptState.FAILED)],
)
def test_a_receipt_belongs_to_its_own_delivery(kept: bytes, state: ReceiptState) -> None:
    found = Record.read(CREATED, b"p", flat(r1_2=kept), b"sealed").deliveries
    assert (found[1, 1].receipt, found[1, 2].receipt) == (None, state)


def test_a_failure_that_is_worth_another_send_is_a_failure() -> None:
    found = Record.read(CREATED, b"p", flat(r1_1=b"again"), b"sealed").deliveries
    assert found[1, 1].receipt is ReceiptState.FAILED


def test_deliveries_come_in_the_order_of_their_sends_and_tries() -> None:
    more = {f"d{send}_1": b"console,0,1,0,9,a,b" for send in (10, 2)}
    found = Record.read(CREATED, b"p", flat(**more), b"sealed").deliveries
    assert list(found) == [(1, 1), (1, 2), (2, 1), (10, 1)]
    assert found[10, 1].reason == "a,b"


@pytest.mark.parametrize(
    ("delivery", "text"), [(FIRST, "smspm,4,1,3000,10,no_answer"), (SECOND, "twilio,0,2,143,3010,")]
)
def test_a_delivery_is_one_short_field(delivery: Delivery, text: str) -> None:
    assert pack(delivery, CREATED) == text
    assert len(pack(replace(delivery, reason="x" * 100), CREATED)) == 64


def test_outcomes_have_the_letters_that_they_always_had() -> None:
    assert [outcome_letter(outcome) for outcome in Outcome] == ["0", "1", "2", "3", "4"]
    assert MAY_HAVE_GONE == {"accepted": "0", "unknown": "4"}


def test_one_that_was_just_opened_has_one_send_and_nothing_else(app: AppSettings) -> None:
    send = NewSend(Place(app, VerificationId.of(3)), Operation("o", "d", "r"), "k1", b"h" * 16, [], 1000)
    made = Record.opened(send, Opening("login", 6, b"sealed"), Opened(CREATED, CREATED + 7, None))
    assert made == replace(RECORD, now_ms=CREATED + 7, checks=0, deliveries={})


@pytest.mark.parametrize(("send", "wait"), [(2, 60_000), (4, 300_000), (5, 300_000)])
def test_another_send_has_its_own_cooldown_from_now(app: AppSettings, send: int, wait: int) -> None:
    again = RECORD.sent_again(app, send)
    assert again == replace(RECORD, sends=send, cooldown_ms=5000 + wait)


def test_what_was_tried_is_added_to_the_latest_send() -> None:
    again = replace(RECORD, sends=2).delivered([SECOND, FIRST])
    assert again.deliveries == {(1, 1): FIRST, (1, 2): SECOND, (2, 1): SECOND, (2, 2): FIRST}
    assert again.used == {"smspm", "twilio"}


def test_it_stands_otherwise_later() -> None:
    later = RECORD.at(CREATED + 9, b"a", 4)
    assert later == replace(RECORD, now_ms=CREATED + 9, status=Status.APPROVED, checks=4)


def test_its_app_sees_what_is_left(app: AppSettings) -> None:
    id_, target, limit = VerificationId.of(3), Target(NUMBER), RateLimit("sends_per_number", 5, 3600, 4, 9)
    assert RECORD.view(app, id_, target, limit) == Verification(
        id=id_,
        status=Status.PENDING,
        purpose="login",
        target=target,
        created_ms=CREATED,
        expires_ms=CREATED + 600_000,
        now_ms=CREATED + 5000,
        checks_left=3,
        sends_left=4,
        next_send_ms=CREATED + 30_000,
        deliveries=(FIRST, SECOND),
        limit=limit,
    )


@pytest.mark.parametrize("spent", [{"checks": 6}, {"sends": 7}])
def test_nothing_is_left_where_a_policy_was_made_stricter(app: AppSettings, spent: dict[str, Any]) -> None:
    seen = replace(RECORD, **spent).view(app, VerificationId.of(3), Target(NUMBER))
    assert (seen.checks_left if "checks" in spent else seen.sends_left) == 0
    assert seen.limit is None
