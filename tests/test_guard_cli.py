"""``otp-service guard`` and ``otp-service forget``, as an operator types them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from otp_service import desk
from otp_service.cli import app
from otp_service.errors import StoreUnavailable
from tests.lab import NUMBER, lab, tables
from tests.proxy import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from tests.servers import Server


class Office:
    """An operator with a configuration for a Redis."""

    def __init__(self, path: Path, redis: Server) -> None:
        self.redis = redis
        self._path = path
        given = tables(redis.url, hash_profile="owasp")
        environ = {f"OTP_{key.upper()}": json.dumps(value) for key, value in given.items()}
        self._environ = environ | {
            f"OTP_{key.upper()}": given[key]
            for key in ("redis_url", "public_url", "index_key", "hash_profile")
        }

    def run(self, *words: str, answer: str | None = None) -> Result:
        clear: dict[str, Any] = {"OTP_CONFIG": None, **self._environ}
        return CliRunner().invoke(app, words, env=clear, input=answer)


@pytest.fixture
def office(tmp_path: Path, redis: Server) -> Office:
    return Office(tmp_path, redis)


def test_lock_and_unlock(office: Office) -> None:
    locked = office.run("guard", "lock", "+37256", "--for", "12h", "--reason", "ticket 17")
    assert locked.exit_code == 0, locked.output
    assert locked.stdout.startswith("+37256 is locked until 20")
    assert "\nlocked\t+37256 until 20" in "\n" + office.run("guard", "why", NUMBER, "--app", "web").stdout
    assert office.run("guard", "unlock", "+37256").stdout.startswith("lock of +37256: lifted\n")
    assert office.run("guard", "why", NUMBER, "--app", "web").stdout.startswith("locked\tno\t\tpasses\n")


def test_a_number_is_masked_in_what_is_printed(office: Office) -> None:
    for words in (
        ("guard", "lock"),
        ("guard", "why", "--app", "web"),
        ("guard", "unlock"),
        ("forget", "--yes"),
    ):
        result = office.run(*words, NUMBER)
        assert result.exit_code == 0, result.output
        assert NUMBER[4:] not in result.output


async def test_what_is_locked_here_is_refused_there(office: Office) -> None:
    async with lab(office.redis.url, key="live1") as live:
        result = await asyncio.to_thread(office.run, "guard", "lock", NUMBER)
        assert result.stdout == "+372*****045 is locked until unlocked\n"
        await live.service.watch.look()
        assert (await live.start()).json()["reason"] == "denied"


async def test_forget_erases_and_says_what_it_keeps(office: Office) -> None:
    async with lab(office.redis.url, key="live1") as live:
        id_ = (await live.start()).json()["id"]
        result = await asyncio.to_thread(office.run, "forget", NUMBER, "--yes")
        assert result.stdout.splitlines()[0] == (
            "+372*****045: 1 verifications erased, and that it was verified"
        )
        assert "kept" in result.stdout
        assert (await live.fetch(id_)).status_code == 404


def test_forget_asks_first(office: Office) -> None:
    refused = office.run("forget", NUMBER, answer="n\n")
    assert refused.exit_code == 1
    assert "Erase every verification of +372*****045?" in refused.stdout
    assert "erased" in office.run("forget", NUMBER, answer="y\n").stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("guard", "lock", "372"), 1, "plus sign"),
        (("guard", "lock", "+372567890"), 1, "at least three digits"),
        (("guard", "lock", NUMBER, "--for", "soon"), 2, "--for: must be"),
        (("guard", "lock", NUMBER, "--reason", "calls 56789045"), 2, "--reason: must be"),
        (("guard", "why", NUMBER), 2, "--app: must be one of other, web"),
        (("guard", "why", "+1", "--app", "web"), 1, "No such number"),
        (("forget", "+1"), 1, "No such number"),
    ],
)
def test_a_wrong_word_is_answered_with_a_sentence(
    office: Office, words: tuple[str, ...], code: int, says: str
) -> None:
    result = office.run(*words)
    assert (result.exit_code, says in result.stderr) == (code, True), result.output


def test_without_redis_there_is_a_sentence_too(tmp_path: Path, office: Office) -> None:
    office._environ["OTP_REDIS_URL"] = f"unix://{tmp_path}/nobody"
    result = office.run("guard", "lock", "+37256")
    assert (result.exit_code, result.stderr.split(".")[0]) == (1, "Redis did not answer in time")


async def test_while_redis_is_down_the_locks_known_last_hold(redis: Server) -> None:
    async with Proxy(redis.url) as proxy, lab(proxy.url, key="live1") as live:
        await desk.lock(live.service, NUMBER, None, "")
        await live.service.watch.look()
        proxy.lose_every = 1
        await live.service.watch.look()
        proxy.lose_every = 0
        assert (await live.start()).json()["reason"] == "denied"


async def test_forget_says_when_redis_is_not_there(redis: Server) -> None:
    async with Proxy(redis.url) as proxy, lab(proxy.url, key="live1") as live:
        proxy.lose_every = 1
        with pytest.raises(StoreUnavailable):
            await desk.forget(live.service, NUMBER)
        proxy.lose_every = 0
