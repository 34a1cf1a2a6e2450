"""What things are called in Redis: with another name every budget would begin anew, for whoever upgrades."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from otp_service.guard.fixed_numbers import FixedNumbers
from otp_service.keyring import Keyring
from otp_service.registry import Registry, located
from otp_service.settings import AppSettings, Settings
from otp_service.store.answers import Counted, Operation
from otp_service.store.place import Place
from otp_service.verification import Target, VerificationId
from tests.lab import NUMBER, tables

FIXED = "+37256000000"
NOW = 1_800_000_000_000
DRAWN = bytes(range(1, 17))
UNKEYED = Operation("operation", "digest", "run")
KEYED = Operation("operation", "digest", "run", since=NOW)


@pytest.fixture
def keyring() -> Keyring:
    return Keyring([("k1", bytes(32))], bytes(range(32)))


@pytest.fixture
def asked() -> list[int]:
    """How many random bytes were asked for, each time."""
    return []


@pytest.fixture
def registry(keyring: Keyring, asked: list[int]) -> Registry:
    def random(count: int) -> bytes:
        asked.append(count)
        return DRAWN

    return Registry(keyring, FixedNumbers(lambda: NOW), random)


@pytest.fixture
def app() -> AppSettings:
    fixed: dict[str, Any] = {FIXED: {"code": "000000", "until": "2999-01-01"}}
    return Settings.model_validate(tables("unix:///x", apps={"web": {"test_numbers": fixed}})).apps["web"]


def test_a_number_has_the_shard_and_the_name_that_it_always_had(keyring: Keyring) -> None:
    assert located(keyring, NUMBER) == (21, "kusewmaxke65arilb5v4kpf5ga")


def test_every_shard_has_numbers(keyring: Keyring) -> None:
    assert {located(keyring, f"+3725{index:07d}")[0] for index in range(1000)} == set(range(64))


def test_a_start_without_an_idempotency_key_draws_its_id(
    registry: Registry, app: AppSettings, asked: list[int]
) -> None:
    place = registry.new(app, Target(NUMBER), None, UNKEYED)
    assert place.id.raw[1:] == DRAWN[1:]
    assert asked == [16]


def test_a_start_with_an_idempotency_key_has_the_id_that_it_always_had(
    registry: Registry, app: AppSettings, asked: list[int]
) -> None:
    assert str(registry.new(app, Target(NUMBER), None, KEYED).id) == "vrf_kts6zyndujvyd37j34htftfqxu"
    assert asked == []


def test_an_id_is_in_the_shard_of_its_number(keyring: Keyring, registry: Registry, app: AppSettings) -> None:
    for operation in (KEYED, UNKEYED):
        place = registry.new(app, Target(NUMBER), None, operation)
        assert place.id.shard == located(keyring, NUMBER)[0]


def test_a_session_has_the_name_that_it_always_had(registry: Registry, app: AppSettings) -> None:
    assert registry.new(app, Target(NUMBER), "a session", KEYED).session == "ckawcwo5"
    assert registry.new(app, Target(NUMBER), None, KEYED).session is None


def test_what_test_keys_do_is_counted_under_another_name(
    keyring: Keyring, registry: Registry, app: AppSettings
) -> None:
    live = registry.new(app, Target(NUMBER), None, KEYED)
    test = registry.new(app, Target(NUMBER, test=True), None, KEYED)
    assert live.number == located(keyring, NUMBER)[1]
    assert test.number == located(keyring, f"test {NUMBER}")[1]
    assert (live.test, test.test) == (False, True)


def test_a_test_number_is_counted_with_each_verification(
    keyring: Keyring, registry: Registry, app: AppSettings
) -> None:
    place = registry.new(app, Target(FIXED, test=True), None, KEYED)
    assert place.number == located(keyring, str(place.id))[1]


def test_what_is_sealed_for_one_verification_opens_for_no_other(registry: Registry, app: AppSettings) -> None:
    place = Place(app, VerificationId.of(0))
    kept = Counted("k1", registry.seal(place, "k1", Target(NUMBER)))
    assert registry.unseal(place, kept) == Target(NUMBER)
    for other in (
        Place(app, VerificationId.of(0)),
        Place(app.model_copy(update={"name": "other"}), place.id),
    ):
        with pytest.raises(InvalidTag):
            registry.unseal(other, kept)
