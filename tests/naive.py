"""One wrong variant for every security rule: what somebody in a hurry would write.

The tests of a rule are run against its variant too, and must fail there.
"""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING, Any

from otp_service import codes, desk, dispatch, registry, verifier
from otp_service.delivery import receipts as receipt_urls
from otp_service.errors import VerificationNotFound
from otp_service.guard import admission, clients, fixed_numbers, guard, reservation
from otp_service.http import auth, edge, idempotency
from otp_service.http import verifications as http_verifications
from otp_service.phone import Phone
from otp_service.store import scripts
from otp_service.store.answers import Operation
from otp_service.store.scripts import Script

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

Variant = "Callable[[pytest.MonkeyPatch], None]"


def install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a wrong variant in place for one test."""
    VARIANTS[name](monkeypatch)


def in_script(verb: str, *replacements: tuple[str, str]) -> Callable[[pytest.MonkeyPatch], None]:
    """A variant of a script: the right line on the left, the naive one on the right."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        load = Script.load

        def loaded(asked: str) -> Script:
            script = load(asked)
            if verb not in {asked, "*"}:
                return script
            body = script.body
            for right, wrong in replacements:
                assert right in body or verb == "*", f"{verb}: {right!r} is gone"
                body = body.replace(right, wrong)
            return Script.of(body)

        monkeypatch.setattr(scripts.Script, "load", loaded)

    return patch


def counts_after_comparing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read, compare, then count: every check that reads before the first one counts is evaluated."""
    load = Script.load
    wrong = {
        "attempt": ("redis.call('HINCRBY', record, 'n', 1)", "counted + 1"),
        "settle": (
            "local misses = redis.call('HINCRBY', record, 'y', 1)",
            "local misses = redis.call('HINCRBY', record, 'y', 1)\nredis.call('HINCRBY', record, 'n', 1)",
        ),
    }

    def loaded(asked: str) -> Script:
        script = load(asked)
        right, naive = wrong.get(asked, ("", ""))
        return Script.of(script.body.replace(right, naive)) if right else script

    monkeypatch.setattr(scripts.Script, "load", loaded)


def binds(*kept: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A hash that leaves out what a code is for."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        class Binding(codes.Binding):
            def digest(self, keyring: Any, key_id: str, code: str) -> bytes:
                return keyring.code_digest(key_id, *(str(getattr(self, name)) for name in kept), code)

            @property
            def salt(self) -> bytes:
                return self.id.raw if "id" in kept else bytes(16)

        for room in (dispatch, verifier):
            monkeypatch.setattr(room, "Binding", Binding)

    return patch


def no_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idempotency-Key ignored."""

    async def once(self: Any, app: str, key: str | None, path: str, body: bytes, run: Any) -> Any:
        name = random.randbytes(13).hex()  # noqa: S311 - naive on purpose
        return await run(Operation(name, name, name))

    monkeypatch.setattr(idempotency.Idempotency, "once", once)


def plain_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records in clear."""
    monkeypatch.setattr("otp_service.keyring.Keyring.seal", lambda _self, _key, data, *_: data)
    monkeypatch.setattr("otp_service.keyring.Keyring.unseal", lambda _self, _key, data, *_: data)


def any_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receipts taken at their word."""
    monkeypatch.setattr("hmac.compare_digest", lambda *_: True)


def any_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receipt addresses that name the send and prove nothing."""
    monkeypatch.setattr(
        receipt_urls, "hmac", type("naive", (), {"compare_digest": staticmethod(lambda *_: True)})
    )


def raw_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets by the number as it was written."""
    parse = http_verifications.parse

    def naive(text: str, region: str | None = None) -> Phone:
        found = parse(text, region)
        return Phone(
            text if text.startswith("+") else found.e164, found.region, found.line_type, found.calling_code
        )

    monkeypatch.setattr(http_verifications, "parse", naive)


def any_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Valid is good enough."""
    monkeypatch.setattr(admission, "admit", lambda *_: None)


def biased(length: int) -> str:
    """20 random bits modulo a million: the first 48,576 codes come twice as often."""
    return f"{random.getrandbits(20) % 10**length:0{length}d}"


def unpadded(length: int) -> str:
    """Leading zeros lost."""
    return str(random.randrange(10**length))  # noqa: S311 - naive on purpose


def believes_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket is whatever X-Forwarded-For says."""
    call = edge.Edge.__call__

    async def naive(self: Any, scope: Any, receive: Any, send: Any) -> None:
        said = dict(scope["headers"]).get(b"x-forwarded-for")
        await call(self, scope | {"client": (said.decode(), 0)} if said else scope, receive, send)

    monkeypatch.setattr(edge.Edge, "__call__", naive)


def takes_the_first_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is who stands first in X-Forwarded-For, which it wrote itself."""

    def naive(scope: Any, _: Any) -> str:
        said = dict(scope["headers"]).get(b"x-forwarded-for", b"nobody")
        return str(said.decode().split(",")[0])

    monkeypatch.setattr(edge, "caller_of", naive)


def test_numbers_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed code is a fixed code, whoever asks."""
    codes_ = fixed_numbers.FixedNumbers.codes
    monkeypatch.setattr(
        fixed_numbers.FixedNumbers, "codes", lambda self, app, **_: codes_(self, app, test=True)
    )


def forgets_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is erased begins anew."""
    forget = desk.forget

    async def naive(service: Any, text: str) -> Any:
        await desk.unlock(service, text)
        return await forget(service, text)

    monkeypatch.setattr(desk, "forget", naive)


def key_id_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API key known by its id alone."""
    monkeypatch.setattr(auth, "hmac", type("naive", (), {"compare_digest": staticmethod(lambda *_: True)}))


def every_address_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPv6 addresses one by one: whoever has one has 2^64."""
    monkeypatch.setattr(clients, "_SUBNET_BITS", 128)


def keeps_what_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every budget counts by itself, and nobody gives back when a later one refuses."""

    async def nothing(*_: Any) -> None:
        return

    monkeypatch.setattr(reservation.Permit, "_close", nothing)


def one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets asked once the Idempotency-Key is claimed."""

    class Permit(reservation.Permit):
        def __init__(self, asking: Any, later: Any) -> None:
            self._waiting, self._later = asking, later

        async def granted(self) -> Any:
            super().__init__(self._waiting, self._later)
            return await super().granted()

    monkeypatch.setattr(guard, "Permit", Permit)


def counts_either_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose key it is told by what was unsealed: after the check was counted."""
    unseal = registry.Registry.unseal

    def late(self: Any, place: Any, kept: Any) -> Any:
        target = unseal(self, place, kept)
        if place.test not in {None, target.test}:
            raise VerificationNotFound
        return target

    in_script("*", ("a.test ~= (v.j == nil)", "true"))(monkeypatch)
    monkeypatch.setattr(registry.Registry, "unseal", late)


def test_keys_spend_live_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number is a number, whoever asks."""

    def of(self: Any, place: Any, target: Any) -> Any:
        return dataclasses.replace(place, number=self.number(target.to))

    monkeypatch.setattr(registry.Registry, "of", of)


VARIANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "counts_after_comparing": counts_after_comparing,
    "many_winners": in_script("settle", ("if state ~= 'p' then", "if false then")),
    "resend_resets_checks": in_script("resend", ("'m', sends + 1,", "'m', sends + 1, 'n', 0,")),
    "unbound_purpose": binds("app", "id", "number", "transaction"),
    "unbound_transaction": binds("app", "id", "number", "purpose"),
    "bound_to_nothing": binds(),
    "any_apps_id": in_script("*", ("return v.a == a.app and", "return v.a and")),
    "either_kind_of_key": in_script("*", ("a.test ~= (v.j == nil)", "true")),
    "counts_either_kind": counts_either_kind,
    "test_keys_spend_live_budgets": test_keys_spend_live_budgets,
    "free_guesses": in_script("*", ("elseif o.d ~= a.digest then", "elseif false then")),
    "counts_each_run": in_script("attempt", ("if seen == 'again' then", "if false then")),
    "runs_late": in_script("*", ("if raw > tonumber(ARGV[2]) then", "if false then")),
    "counts_any_length": in_script("attempt", ("elseif a.length ~= tonumber(v.l) then", "elseif false then")),
    "receipts_repeat": in_script("receive", ("if before and", "if false and")),
    "no_claim": no_claim,
    "plain_at_rest": plain_at_rest,
    "any_signature": any_signature,
    "any_token": any_token,
    "raw_numbers": raw_numbers,
    "any_line": any_line,
    "believes_headers": believes_headers,
    "takes_the_first_hop": takes_the_first_hop,
    "test_numbers_for_all": test_numbers_for_all,
    "forgets_budgets": forgets_budgets,
    "key_id_is_enough": key_id_is_enough,
    "every_address_by_itself": every_address_by_itself,
    "keeps_what_was_refused": keeps_what_was_refused,
    "one_after_another": one_after_another,
    "weighs_then_counts": in_script("reserve", ("    reserve(row)\n", "    break\n")),
    "never_closes": in_script("reserve", ("if now < closed then", "if false then")),
    "starts_whatever_failed": in_script("open", ("refusal = shut(failures) or refusal", "refusal = nil")),
}
