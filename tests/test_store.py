"""The store: one effect for one operation, nothing after its time, keys of one shard in one slot."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LostError

from otp_service.errors import (
    IdempotencyMismatch,
    StoreUnavailable,
    Throttled,
    VerificationClosed,
    VerificationNotFound,
)
from otp_service.events import Unrecorded
from otp_service.settings import SettingsError
from otp_service.store import keys
from otp_service.store.answers import Counted, NewSend, Opened, Opening, Operation, seconds
from otp_service.store.budget import Budget
from otp_service.store.place import Place
from otp_service.store.records import Record, pack
from otp_service.store.scripts import VERBS
from otp_service.verification import Delivery, Outcome, ReceiptState, Status, Try, VerificationId
from tests import servers
from tests.lab import NUMBER, Lab, lab, other_code
from tests.waits import Waits

if TYPE_CHECKING:
    from tests.servers import Server


class Flaky:
    """A client that loses the reply to a script after it ran, or before it was sent."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.lose = 0

    async def evalsha(self, *arguments: Any) -> Any:
        return self._lost(await self._client.evalsha(*arguments))

    async def eval(self, *arguments: Any) -> Any:
        return self._lost(await self._client.eval(*arguments))

    def _lost(self, answer: Any) -> Any:
        if self.lose:
            self.lose -= 1
            raise LostError("the reply is lost")
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def flaky(web: Lab) -> Flaky:
    web.service.scripts._client = made = Flaky(web.service.client)  # type: ignore[assignment]
    return made


@pytest.mark.naive("counts_each_run")
async def test_a_check_whose_reply_was_lost_is_counted_once(web: Lab, flaky: Flaky) -> None:
    id_ = (await web.start()).json()["id"]
    await web.check(id_, other_code(web.code()))
    flaky.lose = 1
    assert (await web.check(id_, other_code(web.code()))).json()["checks_left"] == 3
    assert (await web.fetch(id_)).json()["checks_left"] == 3


async def test_a_start_whose_reply_was_lost_is_opened_and_counted_once(
    web: Lab, flaky: Flaky, redis: Server
) -> None:
    await web.start()
    flaky.lose = 1
    assert (await web.start()).status_code == 201
    assert len([key for key in redis.names() if b":v:" in key]) == 2
    [number] = [key for key in redis.names() if b":n:" in key]
    assert redis.run("ZCARD", number) == 4  # two sends, two live


async def test_without_an_answer_twice_it_is_503_with_retry_after(web: Lab, flaky: Flaky) -> None:
    flaky.lose = 2
    answer = await web.start()
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (
        503, "store_unavailable", "1",
    )  # fmt: skip
    assert web.inbox == []


async def test_a_retry_with_the_same_key_learns_what_a_lost_reply_decided(web: Lab, flaky: Flaky) -> None:
    id_ = (await web.start()).json()["id"]
    script = web.service.store.settle
    lost = []

    async def settle(*arguments: Any, **options: Any) -> Any:
        settled = await script(*arguments, **options)
        if not lost:
            lost.append(settled)
            raise StoreUnavailable("lost", retry_after=1)
        return settled

    web.service.store.settle = settle  # type: ignore[method-assign]
    assert (await web.check(id_, web.code(), key="k")).status_code == 503
    assert (await web.check(id_, web.code(), key="k")).json()["approved"] is True


@pytest.mark.naive("runs_late")
async def test_a_script_that_runs_late_changes_nothing(web: Lab, redis: Server) -> None:
    id_ = (await web.start()).json()["id"]
    scripts = web.service.scripts
    scripts._not_after = lambda *_: 1  # type: ignore[method-assign] # as if it had lain on the wire
    answer = await web.check(id_, other_code(web.code()))
    del scripts._not_after
    assert (answer.status_code, (await web.fetch(id_)).json()["checks_left"]) == (503, 5)


async def test_sent_is_201_even_if_it_could_not_be_written_down(web: Lab) -> None:
    async def record(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("gone", retry_after=1)

    web.service.store.record = record  # type: ignore[method-assign]
    answer = await web.start()
    assert (answer.status_code, answer.json()["deliveries"][0]["outcome"]) == (201, "accepted")
    assert Unrecorded("web", answer.json()["id"]) in web.told
    assert (await web.check(answer.json()["id"], web.code())).json()["approved"] is True


async def test_two_codes_are_live_even_if_a_resend_could_not_be_written_down(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    web.pass_time(30)
    await web.resend(id_)

    async def record(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("gone", retry_after=1)

    web.service.store.record = record  # type: ignore[method-assign]
    web.pass_time(60)
    await web.resend(id_)
    approved = [(await web.check(id_, web.code(i))).json()["approved"] for i in (0, 1)]
    assert approved == [False, True]


async def test_a_start_whose_process_died_goes_on_with_the_same_id_and_a_new_code(web: Lab) -> None:
    deliver = web.service.verifier._courier._chain.deliver

    async def dies(*_: Any, **__: Any) -> Any:
        raise SystemError("killed")

    web.service.verifier._courier._chain.deliver = dies  # type: ignore[method-assign]
    assert (await web.start(key="k")).status_code == 500
    web.service.verifier._courier._chain.deliver = deliver  # type: ignore[method-assign]
    busy = await web.start(key="k")
    assert (busy.status_code, busy.headers["Retry-After"]) == (409, "10")
    web.pass_time(10)
    answer = await web.start(key="k")
    assert answer.status_code == 201
    assert (await web.check(answer.json()["id"], web.code())).json()["approved"] is True
    assert len(web.inbox) == 1


async def test_a_check_whose_process_died_closes_the_last_one_after_five_seconds(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    for i in range(4):
        await web.check(id_, other_code(web.code(), i + 1))
    settle = web.service.store.settle

    async def dies(*_: Any, **__: Any) -> Any:
        raise SystemError("killed")

    web.service.store.settle = dies  # type: ignore[method-assign]
    await web.check(id_, web.code())
    web.service.store.settle = settle  # type: ignore[method-assign]
    between = await web.check(id_, web.code())
    assert (between.status_code, between.json()["verification_status"]) == (410, "pending")
    assert between.json()["detail"].startswith("The last check is being compared.")
    web.pass_time(5)
    after = await web.check(id_, web.code())
    assert (after.status_code, after.json()["verification_status"]) == (410, "max_attempts_reached")


async def test_a_late_answer_is_the_same_when_asked_again(web: Lab) -> None:
    """Two right checks are counted, one wins; the loser's retry hears what it heard."""
    id_ = (await web.start()).json()["id"]
    answers = await asyncio.gather(*(web.check(id_, web.code(), key=f"k{i}") for i in range(2)))
    [loser] = [i for i, answer in enumerate(answers) if answer.status_code == 410]

    async def gone(*_: Any) -> Any:
        return 0, None

    web.service.claims.claim = gone  # type: ignore[method-assign]
    again = await web.check(id_, web.code(), key=f"k{loser}")
    assert again.status_code in {410, 422}


async def test_scripts_lost_by_redis_are_sent_again(web: Lab, redis: Server) -> None:
    await web.start()
    for node in redis.nodes:
        redis.on(node, lambda raw: raw.execute_command("SCRIPT", "FLUSH"))
    assert (await web.start()).status_code == 201


async def test_a_start_waits_on_redis_at_most_four_times_and_a_check_three(web: Lab) -> None:
    """One fewer without an Idempotency-Key."""
    waits = Waits(web)
    for key, start, check in (("k", 4, 3), (None, 3, 2)):
        id_ = (await web.start(key=key)).json()["id"]
        assert 0 < waits.take() <= start
        await web.check(id_, web.code(), key=key and "c")
        assert 0 < waits.take() <= check


async def test_an_app_with_a_webhook_finds_its_events_in_the_outbox(redis: Server, ground: Any) -> None:
    hook = {"webhook": {"url": "https://app.example.com/hooks", "secret": "whsec_" + "A" * 43 + "="}}
    async with lab(redis.url, apps={"web": hook}) as web:
        await web.start()
        assert not [key for key in redis.names() if key.endswith(b":e")]  # nobody would take them out
        web.service.store._tells = True
        id_ = (await web.start()).json()["id"]
        await web.check(id_, web.code())
    [outbox] = [key for key in redis.names() if key.endswith(b":e")]
    told = redis.on(redis.nodes[0], lambda raw: raw.xrange(outbox))
    assert [(entry[b"type"], entry[b"id"]) for _, entry in told] == [
        (b"verification.started", id_.encode()),
        (b"verification.approved", id_.encode()),
    ]
    assert NUMBER[1:].encode() not in repr(told).encode()


def test_the_shards_share_the_slots_evenly() -> None:
    slots = [keys.slot(tag) for tag in keys.TAGS]
    assert [slot * 64 // keys.SLOTS for slot in slots] == list(range(64))
    assert keys.slot("123456789") == 0x31C3 % keys.SLOTS  # the specification's own example


def test_the_tags_are_made_as_they_were() -> None:
    assert keys._tags() == keys.TAGS
    assert keys.TAGS[:4] == ("10", "18", "113", "342")


def test_keys_and_events_have_the_shapes_that_they_always_had() -> None:
    """Versions of one schema run side by side."""
    id_ = VerificationId(bytes(range(100, 116)))
    bare, short, shard = id_.bare, id_.bare[4:14], keys.Shard(id_.shard)
    assert (shard.verification(id_), shard.records) == (f"otp:{{60}}:v:{bare}", "otp:{60}:v:*")
    assert (shard.codes(id_), shard.details(id_)) == (f"otp:{{60}}:c:{bare}", f"otp:{{60}}:x:{bare}")
    assert (shard.number("n"), shard.failures("n", "web")) == ("otp:{60}:n:n", "otp:{60}:r:n:web")
    assert (shard.operation("o"), shard.timers, shard.outbox) == ("otp:{60}:o:o", "otp:{60}:t", "otp:{60}:e")
    events = keys.Events("web", id_)
    assert (events.short, events.all_sends, events.app_sends) == (short, "s:", "s:web:")
    assert (events.sends, events.send(3)) == (f"s:web:{short}", f"s:web:{short}3")
    assert (events.live_prefix, events.live) == ("l:web:", f"l:web:{short[:8]}{short}")
    assert keys.Events("web", id_, "sessions").live == f"l:web:sessions{short}"
    assert (events.failures, events.failure("operation-of-a-check")) == ("f:web:", "f:web:operation-")
    assert (keys.claim("n"), keys.checks("web")) == ("otp:{n}:i", "otp:{checks:web}")
    assert (keys.ledger("t", "e"), keys.ledger("t", "e", "n")) == ("otp:{t}:e", "otp:{t}:n:e")
    assert (keys.META, keys.EXPERIENCE, keys.LOCKS) == ("otp:meta", "otp:{experience}", "otp:{locks}")


def test_the_keys_of_a_shard_share_one_tag() -> None:
    id_ = VerificationId.of(5)
    shard = keys.Shard(5)
    made = [
        shard.verification(id_),
        shard.codes(id_),
        shard.details(id_),
        shard.number("n"),
        shard.failures("n", "web"),
        shard.operation("o"),
        shard.timers,
        shard.outbox,
    ]
    assert {key.partition("}")[0] for key in made} == {f"otp:{{{keys.TAGS[5]}"}
    assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"index_key": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="}, "index_key"),
        ({"allow_unsafe_redis": False}, "redis_url"),
    ],
)
async def test_boot_refuses_a_redis_that_is_not_ours_or_forgets(
    web: Lab, redis: Server, other: Any, named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        async with lab(redis.url, **other):
            pass


async def test_boot_refuses_a_redis_that_evicts() -> None:
    evicts = ["--maxmemory-policy", "allkeys-lru"]
    with (
        servers.embedded(appendonly=True, options=evicts) as server,
        pytest.raises(SettingsError, match="evict"),
    ):
        async with lab(server.url, allow_unsafe_redis=False):
            pass


async def test_boot_takes_a_redis_that_keeps_and_does_not_evict() -> None:
    with servers.embedded(appendonly=True) as server:
        async with lab(server.url, allow_unsafe_redis=False) as web:
            assert (await web.start()).status_code == 201


@pytest.mark.parametrize("hidden", ["info", "config"])
async def test_what_redis_does_not_show_is_a_warning(hidden: str, caplog: pytest.LogCaptureFixture) -> None:
    with servers.embedded(options=["--rename-command", hidden, '""']) as server:
        async with lab(server.url, allow_unsafe_redis=False):
            assert hidden.upper() in caplog.text


async def test_boot_refuses_a_schema_that_it_does_not_know(redis: Server, ground: Any) -> None:
    redis.run("HSET", "otp:meta", "schema", "99")
    with pytest.raises(SettingsError, match="schema"):
        async with lab(redis.url):
            pass


async def test_more_calls_than_connections_wait_their_turn(web: Lab) -> None:
    """redis-py's own pool raises at its limit."""
    await asyncio.gather(*(web.service.timers.ping() for _ in range(200)))


async def test_a_look_at_redis_moves_no_timer(web: Lab, redis: Server) -> None:
    timers = keys.Shard(0).timers
    redis.run("ZADD", timers, 1, "timer")
    await web.service.timers.ping()
    assert float(redis.run("ZSCORE", timers, "timer")) == 1


async def test_nothing_but_us_retries(web: Lab) -> None:
    client = web.service.client
    assert isinstance(client, Redis)
    assert client.get_retry()._retries == 0  # type: ignore[union-attr]


def test_a_delivery_takes_no_more_than_a_field_of_a_record_may() -> None:
    delivery = Delivery("p" * 32, Outcome.ACCEPTED, "r" * 32, 1, 9999, 0)
    assert len(pack(delivery, 0)) == 64


@pytest.mark.parametrize(("ms", "wait"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (3_600_000, 3600)])
def test_a_wait_is_whole_seconds_rounded_up_and_at_least_one(ms: int, wait: int) -> None:
    assert seconds(ms) == wait


def test_every_script_is_a_verb() -> None:
    from importlib.resources import files  # noqa: PLC0415 - only here

    names = {path.name.removesuffix(".lua") for path in (files("otp_service.store") / "lua").iterdir()}
    assert {name for name in names if not name.startswith("_")} == set(VERBS)


async def test_a_resend_whose_reply_was_lost_leaves_the_earlier_code_live(web: Lab, flaky: Flaky) -> None:
    id_ = (await web.start()).json()["id"]
    web.pass_time(30)
    await web.fetch(id_)
    script, lost = web.service.store._scripts.run, []

    async def run(verb: str, *arguments: Any) -> Any:
        if verb == "resend" and not lost:
            lost.append(verb)
            flaky.lose = 1
        return await script(verb, *arguments)

    web.service.store._scripts.run = run  # type: ignore[method-assign]
    assert (await web.resend(id_)).status_code == 200
    assert (await web.check(id_, web.code(0))).json()["approved"] is True


async def test_a_clock_that_was_misjudged_costs_one_more_try_and_no_error(web: Lab) -> None:
    scripts = web.service.scripts
    scripts._offset = (scripts._offset or 0) - 10_000
    assert (await web.start()).status_code == 201


async def test_a_start_that_died_and_ran_out_begins_anew_with_its_key(web: Lab) -> None:
    courier = web.service.verifier._courier
    deliver = courier._chain.deliver

    async def dies(*_: Any, **__: Any) -> Any:
        raise SystemError("killed")

    courier._chain.deliver = dies  # type: ignore[method-assign]
    await web.start(key="k")
    courier._chain.deliver = deliver  # type: ignore[method-assign]
    web.pass_time(601)
    answer = await web.start(key="k")
    assert (answer.status_code, answer.json()["expires_in"]) == (201, 600)


async def test_settling_what_is_gone_leaves_nothing_behind(web: Lab, redis: Server) -> None:
    id_ = (await web.start()).json()["id"]
    attempt = web.service.store.attempt

    async def vanishes(*arguments: Any) -> Any:
        counted = await attempt(*arguments)
        for name in redis.names():
            if b":v:" in name:
                redis.run("DEL", name)
        return counted

    web.service.store.attempt = vanishes  # type: ignore[method-assign]
    assert (await web.check(id_, web.code())).status_code == 404
    assert not [name for name in redis.names() if b":v:" in name]


async def test_a_cluster_out_of_reach_is_503() -> None:
    with servers.cluster() as server:
        async with lab(server.url) as web:
            for node in server.nodes:
                node.stop()
            answers = [await web.start(), await web.http.get("/readyz")]
            assert [answer.status_code for answer in answers] == [503, 503]
            for node in server.nodes:
                node.start()


@pytest.mark.naive("free_guesses")
async def test_an_operation_with_another_digest_is_a_mismatch(web: Lab) -> None:
    """Under the claim of the HTTP face, the scripts hold it too: one operation never buys a second guess."""
    place = await opened(web)
    store = web.service.store
    first = Operation("operation", "digest", "run", since=1)
    await store.attempt(place, first, 6, ["k1"])
    await store.settle(place, first, 1, matched=False)
    with suppress(IdempotencyMismatch):
        await store.attempt(place, replace(first, digest="another", run="run 2"), 6, ["k1"])
        raise AssertionError("it was answered")


async def test_a_cancel_of_another_request_or_of_nothing_is_refused(web: Lab) -> None:
    place = await opened(web)
    store = web.service.store
    first = Operation("operation", "digest", "run", since=1)
    await store.cancel(place, first)
    with pytest.raises(IdempotencyMismatch):
        await store.cancel(place, replace(first, digest="another"))
    with pytest.raises(VerificationNotFound):
        await store.cancel(replace(place, id=VerificationId.of(place.id.shard)), first)


async def opened(web: Lab) -> Place:
    id_ = VerificationId.parse((await web.start()).json()["id"])
    assert id_
    return Place(web.service.settings.apps["web"], id_, "number")


async def test_a_check_that_came_too_late_hears_so_again(web: Lab) -> None:
    place = await opened(web)
    await web.cancel(str(place.id))
    operation = Operation("operation", "digest", "run", since=1)
    heard = []
    for _ in range(2):
        with pytest.raises(VerificationClosed) as closed:
            await web.service.store.attempt(place, operation, 6, ["k1"])
        heard.append((closed.value.verification_status, closed.value.replayed))
    assert heard == [("canceled", False), ("canceled", True)]


async def test_a_resend_of_what_was_started_anew_meanwhile_is_503(web: Lab) -> None:
    operation = Operation("operation", "digest", "run", since=1)
    with pytest.raises(
        StoreUnavailable, match=r"^It was started anew in the meantime\. Try again\.$"
    ) as refused:
        await web.service.store.resend(NewSend(await opened(web), operation, "k9", b"h" * 16, [], 1000))
    assert refused.value.retry_after == 1


async def test_a_reply_that_is_late_twice_is_503(web: Lab) -> None:
    web.service.scripts._not_after = lambda *_: 1  # type: ignore[method-assign]
    assert (await web.start()).status_code == 503


async def test_an_operation_is_remembered_as_long_as_its_key_and_without_one_for_its_run(
    web: Lab, redis: Server
) -> None:
    async def lives_ms() -> int:
        [name] = [name for name in redis.names() if b":o:" in name]
        return int(redis.run("PTTL", name))

    id_ = (await web.start()).json()["id"]
    await web.check(id_, other_code(web.code()))
    assert 10_000 < await lives_ms() <= 15_000
    redis.flush()
    await web.start(key="k")
    assert 3_595_000 < await lives_ms() <= 3_600_000


async def test_a_check_that_is_not_counted_says_why(web: Lab) -> None:
    place = await opened(web)
    for op, length, ring, why in (("a", 7, ["k1"], "length"), ("b", 6, ["k2"], "unkeyed")):
        operation = Operation(op, "digest", "run")
        assert await web.service.store.attempt(place, operation, length, ring) == why
    assert (await web.fetch(str(place.id))).json()["checks_left"] == 5


@pytest.mark.parametrize("changes", [{"record_ttl_seconds": 3600}])
async def test_a_record_can_be_read_for_its_time_and_no_longer(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    web.pass_time(3599)
    assert (await web.fetch(id_)).json()["status"] == "expired"
    web.pass_time(1)
    assert (await web.fetch(id_)).status_code == 404


DOWN = Delivery("down", Outcome.UNAVAILABLE, "connect_failed", segments=1, latency_ms=2, at=0)
SENT = Delivery("up", Outcome.ACCEPTED, "", segments=1, latency_ms=2, at=0)
OPERATION = Operation("operation", "digest", "run", since=1)
HASH = b"h" * 16


async def counted(web: Lab) -> tuple[Place, Record]:
    """A verification whose first send is counted, and not made yet."""
    place = Place(web.service.settings.apps["web"], VerificationId.of(3), "number")
    member = place.events.send(1)
    rows = [Budget("sends_per_number", place.events.all_sends, 0, member, ((5, 3_600_000),))]
    send = NewSend(place, OPERATION, "k1", HASH, rows, 10_000)
    opening = Opening("login", 6, b"sealed", "a tag")
    opened = await web.service.store.open(send, opening)
    assert isinstance(opened, Opened)
    return place, Record.opened(send, opening, opened)


@pytest.mark.parametrize(
    ("tries", "kept", "live"),
    [([DOWN], [], b""), ([DOWN, SENT], [b"s:web:"], HASH), ([SENT], [b"s:web:"], HASH)],
)
async def test_a_send_that_nobody_took_is_given_back_with_its_code(
    web: Lab, redis: Server, tries: list[Delivery], kept: list[bytes], live: bytes
) -> None:
    place, record = await counted(web)
    written = record.delivered(tries)
    await web.service.store.record(place, OPERATION, written, tries, HASH, failed=False)
    events = redis.run("ZRANGE", place.shard.number("number"), 0, -1)
    assert [event[:6] for event in events if event.startswith(b"s:")] == kept
    assert (redis.run("GET", place.shard.codes(place.id)) or b"") == live


async def test_what_was_written_down_is_read_as_it_stands_by_then(web: Lab) -> None:
    place, record = await counted(web)
    store = web.service.store
    check = await store.attempt(place, Operation("check", "digest", "run"), 6, ["k1"])
    assert check == Counted("k1", b"sealed", 1, HASH, created_ms=record.created_ms, client="a tag")
    later = await store.record(place, OPERATION, record.delivered([SENT]), [SENT], HASH, failed=False)
    assert (later.checks, later.status, later.now_ms >= record.now_ms) == (1, Status.PENDING, True)


async def test_a_receipt_that_was_faster_than_the_record_makes_another_send_due(
    web: Lab, redis: Server
) -> None:
    place, record = await counted(web)
    store, about = web.service.store, Try(place.id, 1, 1)
    assert await store.receive(about, ReceiptState.FAILED, send_again=True) == "ok"
    await store.record(place, OPERATION, record.delivered([SENT]), [SENT], HASH, failed=False)
    assert redis.run("ZRANGE", place.shard.timers, 0, -1) == [f"{place.id}:1:web".encode()]


async def test_no_more_codes_are_kept_than_are_live(web: Lab, redis: Server) -> None:
    place, record = await counted(web)
    redis.run("SET", place.shard.codes(place.id), HASH + b"2" * 16 + b"3" * 16, "PX", 60_000)
    await web.service.store.record(place, OPERATION, record.delivered([SENT]), [SENT], HASH, failed=False)
    assert redis.run("GET", place.shard.codes(place.id)) == HASH + b"2" * 16


async def test_a_number_that_is_closed_for_failed_checks_says_for_which(web: Lab, redis: Server) -> None:
    place = Place(web.service.settings.apps["web"], VerificationId.of(3), "number")
    till = int(redis.run("TIME")[0]) * 1000 + 7_000_000
    redis.run("HSET", place.shard.failures("number", "web"), "u", till)
    with pytest.raises(Throttled) as refused:
        await web.service.store.open(
            NewSend(place, OPERATION, "k1", HASH, [], 10_000), Opening("login", 6, b"")
        )
    limit = refused.value.limit
    assert limit
    assert (limit.name, limit.quota, limit.window, limit.left) == ("failed_checks_per_number", 100, 86_400, 0)
    assert 6_990 < limit.reset <= 7_001
    assert refused.value.detail == f"Not yet: try again in {limit.reset} seconds."
