"""How a script is run: once, or once more when its reply was lost, and never too late."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as SlowError

from otp_service.errors import StoreUnavailable
from otp_service.store.client import connect
from otp_service.store.scripts import BUDGET_MS, VERBS, Script, Scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

NEVER = 2**53
MOMENT = 1_700_000_000_000
NO_ANSWER = "Redis did not answer in time. Try again, with the same Idempotency-Key."
TOO_LATE = "Redis answered too late, so nothing was changed. Try again."


@dataclass
class Client:
    """Answers in turn; an exception is raised."""

    answers: list[Any]
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    async def evalsha(self, *words: Any) -> Any:
        return self._next("evalsha", *words)

    async def eval(self, *words: Any) -> Any:
        return self._next("eval", *words)

    def _next(self, *call: Any) -> Any:
        self.calls.append(call)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Bench:
    """Scripts on a client of the test's, with its clocks."""

    client: Client
    seconds: float = 100.0
    skew: int = 0
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scripts = Scripts(
            self.client,  # type: ignore[arg-type]
            connections=2,
            skew=lambda: self.skew,
            monotonic=lambda: self.seconds,
            watch=self._watch,
        )

    @contextmanager
    def _watch(self, verb: str) -> Iterator[None]:
        self.seen.append(verb)
        yield
        self.seen.append("done")


def bench(*answers: Any) -> Bench:
    return Bench(Client(list(answers)))


def reply(*rest: Any, raw: int = MOMENT) -> list[Any]:
    return [raw, raw + 7, *rest]


async def test_a_reply_is_the_moment_what_came_of_it_and_what_belongs_to_that() -> None:
    made = bench(reply(b"ok", 1, b"two"))
    assert await made.scripts.run("fetch", ["key"], {}) == [MOMENT + 7, "ok", 1, b"two"]
    assert made.seen == ["fetch", "done"]


async def test_a_script_is_asked_for_by_its_digest_with_keys_clock_arguments_and_blobs() -> None:
    made = bench(reply(b"ok"))
    made.skew = 5
    await made.scripts.run("fetch", ["a", "b"], {"x": 1, "y": [None, True]}, b"blob", b"more")
    [(call, sha, keys, *words)] = made.client.calls
    assert (call, sha, keys) == ("evalsha", Script.load("fetch").sha, 2)
    assert words == ["a", "b", 5, NEVER, '{"x":1,"y":[null,true]}', b"blob", b"more"]


async def test_one_that_the_server_does_not_know_is_sent_whole() -> None:
    made = bench(NoScriptError(), reply(b"ok"))
    await made.scripts.run("fetch", ["a"], {})
    (_, _, *first), (call, body, *second) = made.client.calls
    assert (call, body, first) == ("eval", Script.load("fetch").body, second)


@pytest.mark.parametrize("lost", [LostError("gone"), SlowError("late"), AttributeError("no writer")])
async def test_a_lost_reply_is_asked_for_once_more_and_the_same(lost: Exception) -> None:
    made = bench(lost, reply(b"ok"))
    assert (await made.scripts.run("fetch", ["a"], {}))[1] == "ok"
    assert made.client.calls[0] == made.client.calls[1]


async def test_a_second_lost_reply_is_the_end_of_it() -> None:
    made = bench(LostError("one"), LostError("two"), reply(b"ok"))
    with pytest.raises(StoreUnavailable) as refused:
        await made.scripts.run("fetch", ["a"], {})
    assert (refused.value.detail, refused.value.retry_after) == (NO_ANSWER, 1)
    assert (len(made.client.calls), made.seen) == (2, ["fetch"])
    assert str(refused.value.__cause__) == "two"


async def test_one_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otp_service.store.scripts.BUDGET_MS", 20)
    made = bench()

    async def hangs(*_: Any) -> Any:
        await asyncio.Future()

    made.client.evalsha = hangs  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            await made.scripts.run("fetch", ["a"], {})


async def test_a_cluster_is_known_as_one() -> None:
    client = connect("redis+cluster://a")
    assert Scripts(client, connections=1).clustered is True
    await client.aclose()


@pytest.mark.parametrize("fault", [ResponseError("OOM"), OSError("reset")])
async def test_what_redis_refuses_is_not_asked_again(fault: Exception) -> None:
    made = bench(fault, reply(b"ok"))
    with pytest.raises(StoreUnavailable, match="did not answer"):
        await made.scripts.run("fetch", ["a"], {})
    assert len(made.client.calls) == 1


async def test_the_first_call_may_run_whenever_and_each_later_one_within_its_budget() -> None:
    made = bench(reply(b"ok"), reply(b"ok"))
    await made.scripts.run("fetch", ["a"], {})
    made.seconds += 2
    await made.scripts.run("fetch", ["a"], {})
    assert [call[5] for call in made.client.calls] == [NEVER, MOMENT + 2000 + BUDGET_MS]


async def test_one_that_was_late_by_a_wrong_idea_of_the_clock_is_run_by_the_right_one() -> None:
    made = bench(reply(b"ok"), reply(b"late", raw=MOMENT + 60_000), reply(b"ok", raw=MOMENT + 60_001))
    await made.scripts.run("fetch", ["a"], {})
    assert (await made.scripts.run("fetch", ["a"], {}))[1] == "ok"
    first, again = made.client.calls[1:]
    assert (first[5], again[5]) == (MOMENT + BUDGET_MS, MOMENT + 60_000 + BUDGET_MS)
    assert first[:5] + first[6:] == again[:5] + again[6:]


async def test_one_that_was_late_twice_is_said_to_have_changed_nothing() -> None:
    made = bench(reply(b"late"), reply(b"late"))
    with pytest.raises(StoreUnavailable) as refused:
        await made.scripts.run("fetch", ["a"], {})
    assert (refused.value.detail, refused.value.retry_after) == (TOO_LATE, 1)


async def test_the_clock_of_redis_goes_on_between_answers() -> None:
    made = bench(reply(b"ok"))
    assert made.scripts.now_ms == 0
    await made.scripts.run("fetch", ["a"], {})
    made.seconds, made.skew = made.seconds + 1.5, 30
    assert made.scripts.now_ms == MOMENT + 1500 + 30


async def test_no_more_run_at_once_than_there_are_connections() -> None:
    made = bench()
    running, most, go_on = 0, 0, asyncio.Event()

    async def slowly(*_: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go_on.wait()
        running -= 1
        return reply(b"ok")

    made.client.evalsha = slowly  # type: ignore[method-assign]
    calls = [asyncio.create_task(made.scripts.run("fetch", ["a"], {})) for _ in range(5)]
    for _ in range(5):
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*calls)
    assert most == 2


async def test_by_itself_it_adds_nothing_to_the_clock_and_is_watched_by_nobody() -> None:
    client = Client([reply(b"ok"), reply(b"ok")])
    scripts = Scripts(client, connections=1)  # type: ignore[arg-type]
    assert scripts.clustered is False
    for _ in range(2):
        await scripts.run("fetch", ["a"], {})
    assert [call[4] for call in client.calls] == [0, 0]
    assert MOMENT + BUDGET_MS <= client.calls[1][5] < MOMENT + BUDGET_MS + 60_000


@pytest.mark.parametrize("verb", VERBS)
def test_a_script_stands_behind_what_it_shares(verb: str) -> None:
    script = Script.load(verb)
    assert script.sha == hashlib.sha1(script.body.encode(), usedforsecurity=False).hexdigest()
    assert script.body.startswith("-- Put before every script.")
    assert ("local function tally(" in script.body) != ("local function take(" in script.body)
