"""Codes: drawn without bias, hashed under a key, matched in one place."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import Counter

import pytest
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag

from otp_service import codes
from otp_service.codes import PROFILES, Binding, HashPool, Profile, clean, draw, match
from otp_service.errors import InvalidCodeFormat, Overloaded, UnknownKey
from otp_service.keyring import Keyring
from otp_service.verification import Transaction, VerificationId
from tests import naive

DRAWS = 100_000
LIMIT = 45.1
"""Chi-square with 9 degrees of freedom exceeds this with p = 1e-6."""


def worst_position(drawn: list[str]) -> float:
    """The largest chi-square of any position's digits."""
    expected = len(drawn) / 10
    return max(
        sum(
            (Counter(code[position] for code in drawn)[digit] - expected) ** 2 / expected
            for digit in "0123456789"
        )
        for position in range(6)
    )


def test_digits_are_equally_likely_in_every_position() -> None:
    assert worst_position([draw(6) for _ in range(DRAWS)]) < LIMIT


def test_twenty_random_bits_fail_the_same_test() -> None:
    assert worst_position([naive.biased(6) for _ in range(DRAWS)]) > LIMIT


@pytest.mark.parametrize("length", [6, 8, 10])
def test_leading_zeros_are_kept(length: int) -> None:
    assert draw(length, below=lambda _: 7) == "7".zfill(length)


def test_a_code_is_one_of_all_that_have_its_length() -> None:
    asked: list[int] = []
    draw(6, below=lambda count: asked.append(count) or 0)
    assert asked == [1_000_000]


def test_a_code_comes_from_the_systems_own_randomness() -> None:
    assert draw.__defaults__ == (secrets.randbelow,)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("123456", "123456"),
        ("123 456", "123456"),
        ("12-34-56", "123456"),
        ("１２３４５６", "123456"),
        ("١٢٣٤٥٦", "123456"),
        ("123\u2013456", "123456"),
        ("aB3d", "aB3d"),
    ],
)
def test_a_code_is_read_as_it_was_meant(written: str, meant: str) -> None:
    assert clean(written) == meant


@pytest.mark.parametrize(
    "written", ["", "123", "12345678901", "12345\n", "12.345", "¼¼¼¼¼¼", "абвгде", "12\x0034"]
)
def test_what_cannot_be_a_code_is_refused(written: str) -> None:
    with pytest.raises(InvalidCodeFormat) as refused:
        clean(written)
    assert refused.value.detail == (
        "This cannot be a code, so no check was spent. Send the 4 to 10 letters or digits of the message."
    )
    assert refused.value.errors == ({"pointer": "/code", "detail": "4 to 10 letters or digits"},)


def binding(**changes: object) -> Binding:
    usual: dict[str, object] = {
        "app": "web",
        "id": VerificationId(bytes(16)),
        "number": "+37256789045",
        "purpose": "login",
        "transaction": Transaction("ACME", "12 EUR"),
    }
    return Binding(**(usual | changes))  # type: ignore[arg-type]


KEYRING = Keyring([("k2", b"2" * 32), ("k1", b"1" * 32)], b"i" * 32)


@pytest.mark.parametrize(
    "other",
    [
        binding(app="we"),
        binding(id=VerificationId(b"b" + bytes(15))),
        binding(app="we", id=VerificationId(b"b" + bytes(15))),
        binding(number="+3725678904"),
        binding(purpose="logi"),
        binding(transaction=None),
        binding(transaction=Transaction("ACME1", "2 EUR")),
        binding(transaction=Transaction("12 EUR", "ACME")),
    ],
)
def test_all_that_a_code_is_bound_to_is_in_its_digest(other: Binding) -> None:
    assert other.digest(KEYRING, "k1", "123456") != binding().digest(KEYRING, "k1", "123456")


def test_no_two_lists_of_parts_read_alike() -> None:
    one = binding(transaction=None, purpose="login").digest(KEYRING, "k1", "123456")
    two = binding(transaction=None, purpose="login1").digest(KEYRING, "k1", "23456")
    assert one != two


def test_the_key_is_part_of_the_digest_and_an_unknown_one_is_said() -> None:
    assert binding().digest(KEYRING, "k1", "123456") != binding().digest(KEYRING, "k2", "123456")
    with pytest.raises(UnknownKey):
        binding().digest(KEYRING, "k3", "123456")


def test_the_first_key_signs() -> None:
    assert (KEYRING.first, KEYRING.ids) == ("k2", ("k2", "k1"))


def test_what_is_sealed_opens_only_with_what_it_is_bound_to() -> None:
    sealed = KEYRING.seal("k1", b"+372", "web", "vrf_1")
    assert KEYRING.unseal("k1", sealed, "web", "vrf_1") == b"+372"
    for bound in (("web", "vrf_2"), ("other", "vrf_1"), ("webvrf_1",)):
        with pytest.raises(InvalidTag):
            KEYRING.unseal("k1", sealed, *bound)


def test_any_live_hash_matches_and_a_piece_of_two_does_not() -> None:
    live = b"a" * 16 + b"b" * 16
    assert match(b"a" * 16, live)
    assert match(b"b" * 16, live)
    assert not match(b"a" * 8 + b"b" * 8, live)
    assert not match(b"", b"")


async def test_a_full_pool_turns_away_before_anything_is_counted() -> None:
    pool = HashPool(PROFILES["test"], threads=1, queue=1)
    with pool.place(), pool.place(), pytest.raises(Overloaded) as refused:
        pool.admit()
    assert (refused.value.retry_after, refused.value.detail) == (
        1,
        "The service is at its limit and counted nothing. Try again shortly.",
    )
    with pool.place():
        pool.admit()
    assert len(await pool.hash(b"d" * 32, b"s" * 16)) == codes.HASH_BYTES
    pool.close()


async def test_hashes_wait_for_as_many_threads_as_there_are_to_be() -> None:
    before = set(threading.enumerate())
    pool = HashPool(PROFILES["test"], threads=2, queue=8)
    await asyncio.gather(*(pool.hash(b"d" * 32, b"s" * 16) for _ in range(10)))
    names = {thread.name for thread in set(threading.enumerate()) - before}
    pool.close()
    assert names <= {"argon2_0", "argon2_1"}
    assert names
    assert not any(thread.name in names for thread in set(threading.enumerate()) - before)


def test_to_close_is_to_end_what_is_under_way_and_to_begin_no_more() -> None:
    pool, go_on = HashPool(PROFILES["test"], threads=1, queue=8), threading.Event()
    underway, waiting = pool._pool.submit(go_on.wait), pool._pool.submit(int)
    ended, closing = threading.Event(), threading.Thread(target=pool.close)
    waiting.add_done_callback(lambda _: ended.set())
    closing.start()
    assert ended.wait(10)
    assert (waiting.cancelled(), underway.done(), closing.is_alive()) == (True, False, True)
    go_on.set()
    closing.join()
    assert underway.done()


async def test_a_hash_is_argon2id_with_the_profiles_cost() -> None:
    pool = HashPool(Profile(memory_kib=64, passes=2), threads=1, queue=0)
    hashed = await pool.hash(b"d" * 32, b"s" * 16)
    pool.close()
    assert hashed == hash_secret_raw(b"d" * 32, b"s" * 16, 2, 64, 1, 16, Type.ID)


def test_the_default_costs_what_owasp_asks_for() -> None:
    assert PROFILES["owasp"] == Profile(memory_kib=7168, passes=5, lanes=1)


@pytest.mark.parametrize("shard", [0, 1, 63])
def test_an_id_names_its_shard_and_reads_back(shard: int) -> None:
    made = VerificationId.of(shard)
    assert made.shard == shard
    assert VerificationId.parse(str(made)) == made
    assert len(str(made)) == 30


@pytest.mark.parametrize(
    "change", [str.upper, lambda text: text[:-1] + "b", lambda text: text + "a", lambda _: "x"]
)
def test_an_id_has_one_spelling(change: object) -> None:
    assert VerificationId.parse(change(str(VerificationId(bytes(16))))) is None  # type: ignore[operator]
