"""Faults: Redis killed, hung, read-only, full or behind a bad wire; processes killed; clients gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from otp_service.errors import StoreUnavailable
from otp_service.service import Seams
from otp_service.settings import Settings
from tests import servers
from tests.lab import Lab, bearer, code_in, lab, other_code, tables
from tests.listening import listening
from tests.proxy import Proxy
from tests.served import CODE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from tests.servers import Server

    Fault = Callable[[Server, Proxy], AbstractAsyncContextManager[None]]

PEOPLE = 24
"""Verifications that are pending when the fault begins; as many again are started under it."""

AT_ONCE = 32
LIFTED: dict[str, Any] = {"apps": {"web": {"max_checks": 10, "limits": {"requests_per_key": "100000/1s"}}}}
BEATS = 200
LEASE = 11.0
"""Seconds; a route's deadline + 2 s, and one more."""


def number(index: int) -> str:
    return f"+3725{index:07d}"


@asynccontextmanager
async def killed(server: Server, _: Proxy) -> AsyncIterator[None]:
    [node] = server.nodes
    node.stop()
    yield
    node.start()


@asynccontextmanager
async def hung(server: Server, _: Proxy) -> AsyncIterator[None]:
    pid = server.nodes[0].pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def read_only(server: Server, _: Proxy) -> AsyncIterator[None]:
    server.run("REPLICAOF", "127.0.0.1", 1)
    yield
    server.run("REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def out_of_memory(server: Server, _: Proxy) -> AsyncIterator[None]:
    server.run("CONFIG", "SET", "maxmemory", 1)
    yield
    server.run("CONFIG", "SET", "maxmemory", 0)


@asynccontextmanager
async def one_reply_in_three_lost(_: Server, proxy: Proxy) -> AsyncIterator[None]:
    proxy.lose_every = 3
    yield
    proxy.lose_every = 0


@asynccontextmanager
async def scripts_flushed(server: Server, _: Proxy) -> AsyncIterator[None]:
    async def flush() -> None:
        while True:
            server.run("SCRIPT", "FLUSH")
            await asyncio.sleep(0.05)

    flushing = asyncio.create_task(flush())
    yield
    flushing.cancel()


@dataclass
class Stream:
    """Requests, each with an Idempotency-Key of its own, and what was last answered to each."""

    web: Lab
    answers: dict[str, httpx.Response] = field(default_factory=dict)
    slowest_503: float = 0

    async def ask(self, path: str, body: dict[str, Any], key: str) -> None:
        began = time.monotonic()
        answer = await self.web.post(path, body, headers={"Idempotency-Key": key})
        if answer.status_code == 503:
            assert answer.headers["Retry-After"] == "1"
            self.slowest_503 = max(self.slowest_503, time.monotonic() - began)
        self.answers[key] = answer

    def open(self) -> bool:
        """Whether somebody is still to be told an outcome."""
        return any(answer.status_code in {409, 503} for answer in self.answers.values())

    async def run(self, requests: dict[str, tuple[str, dict[str, Any]]]) -> None:
        """Ask for all that has no outcome yet, a few at once."""
        waiting = [key for key in requests if key not in self.answers or self._unsaid(key)]
        places = asyncio.Semaphore(AT_ONCE)

        async def one(key: str) -> None:
            async with places:
                await self.ask(*requests[key], key)

        await asyncio.gather(*map(one, waiting))

    def _unsaid(self, key: str) -> bool:
        return self.answers[key].status_code in {409, 503}


async def heartbeat(web: Lab, beats: list[float], enough: asyncio.Event) -> None:
    while True:
        if len(beats) >= BEATS:
            enough.set()
        began = time.monotonic()
        assert (await web.http.get("/livez")).status_code == 200
        beats.append(time.monotonic() - began)
        await asyncio.sleep(0.005)


async def ready(web: Lab) -> None:
    async with asyncio.timeout(10):
        while (await web.http.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.02)


def counted(redis: Server, id_: str) -> int:
    [key] = [key for key in redis.names() if key.endswith(b":v:" + id_.removeprefix("vrf_").encode())]
    return int(redis.run("HGET", key, "n"))


def events_of_numbers(redis: Server, kind: bytes) -> int:
    """Events of one kind, ``s:`` for sends and ``f:`` for failed checks, over all numbers."""
    names = [key for key in redis.names() if b":n:" in key]
    return sum(member.startswith(kind) for key in names for member in redis.run("ZRANGE", key, 0, -1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        killed,
        hung,
        read_only,
        out_of_memory,
        one_reply_in_three_lost,
        scripts_flushed,
    ],
)
async def test_every_operation_has_one_effect_and_one_outcome_whatever_redis_does(fault: Fault) -> None:
    with servers.embedded(appendonly=True) as redis:
        async with Proxy(redis.url) as proxy, lab(proxy.url, **LIFTED) as web:
            ids = [(await web.start(number(i))).json()["id"] for i in range(PEOPLE)]
            codes = [code_in(message.text) for message in web.inbox]
            requests: dict[str, tuple[str, dict[str, Any]]] = {}
            for i, (id_, code) in enumerate(zip(ids, codes, strict=True)):
                requests[f"start{i}"] = ("start", {"to": number(PEOPLE + i)})
                right = i % 2
                for guess in range(3):
                    tried = code if right else other_code(code, guess + 1)
                    requests[f"check{i}.{guess}"] = (f"{id_}/check", {"code": tried})

            stream, beats, enough = Stream(web), list[float](), asyncio.Event()
            beating = asyncio.create_task(heartbeat(web, beats, enough))
            async with fault(redis, proxy):
                await stream.run(requests)
                await stream.run(requests)
                await asyncio.wait_for(enough.wait(), 20)
            beating.cancel()
            await ready(web)
            web.pass_time(LEASE)
            await stream.run(requests)

            assert stream.slowest_503 < 1
            assert sorted(beats)[len(beats) * 99 // 100] < 0.05
            assert not stream.open()
            for i, id_ in enumerate(ids):
                told = [stream.answers[f"check{i}.{guess}"] for guess in range(3)]
                approved = sum(answer.json().get("approved", False) for answer in told)
                statuses = Counter(answer.status_code for answer in told)
                evaluated = counted(redis, id_)
                assert (await web.fetch(id_)).json()["checks_left"] == 10 - evaluated
                if i % 2:
                    assert (approved, statuses) == (1, {200: 1, 410: 2})
                else:
                    assert (approved, statuses, evaluated) == (0, {200: 3}, 3)
                assert evaluated >= statuses[200]
            started = [stream.answers[f"start{i}"] for i in range(PEOPLE)]
            assert {answer.status_code for answer in started} == {201}
            assert len({answer.json()["id"] for answer in started}) == PEOPLE
            # An approval gives its send back.
            assert events_of_numbers(redis, b"s:") == PEOPLE + PEOPLE // 2
            assert events_of_numbers(redis, b"f:") == 3 * PEOPLE // 2


async def test_a_release_whose_reply_was_lost_does_not_buy_a_second_evaluation(redis: Server) -> None:
    async with lab(redis.url) as web:
        id_ = (await web.start()).json()["id"]
        settle, release = web.service.store.settle, web.service.claims.release

        async def lost(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("lost", retry_after=1)

        async def twice(*arguments: Any) -> None:
            await release(*arguments)
            await release(*arguments)

        web.service.store.settle = lost  # type: ignore[method-assign]
        assert (await web.check(id_, other_code(web.code()), key="k")).status_code == 503
        web.service.store.settle = settle  # type: ignore[method-assign]
        web.service.claims.release = twice  # type: ignore[assignment, method-assign]
        assert (await web.check(id_, other_code(web.code()), key="k")).status_code == 409
        web.pass_time(LEASE)
        assert (await web.check(id_, other_code(web.code()), key="k")).status_code == 200
        assert counted(redis, id_) == 1


@contextlib.contextmanager
def victim(configuration: dict[str, Any]) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A service in a process that the test kills."""
    command = [sys.executable, "-m", "tests.served", json.dumps(configuration), ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}", process
        finally:
            process.kill()


async def kill_in_the_middle(proxy: Proxy, redis_replies: int, path: str, body: dict[str, Any]) -> None:
    """Send one request to a process and kill it when Redis has done the script after so many replies."""
    with victim(tables(proxy.url)) as (url, process):
        async with httpx.AsyncClient(base_url=url, headers=bearer("web1")) as client:
            await client.get("/readyz")
            proxy.hold_after = redis_replies
            post = client.post(f"/v1/verifications/{path}", json=body, headers={"Idempotency-Key": "k"})
            asked = asyncio.create_task(post)
            await asyncio.wait_for(proxy.held.wait(), 5)
            process.kill()
            with pytest.raises(httpx.TransportError):
                await asked


@pytest.mark.slow
@pytest.mark.parametrize("script", [0, 1, 2], ids=["claimed", "opened", "recorded"])
async def test_a_start_whose_process_was_killed_ends_well_at_another(redis: Server, script: int) -> None:
    async with Proxy(redis.url) as proxy, lab(redis.url) as web:
        await kill_in_the_middle(proxy, script, "start", {"to": number(1)})
        web.pass_time(LEASE)
        answer = await web.start(number(1), key="k")
        assert answer.status_code == 201
        code = web.code() if web.inbox else "424242"  # the dead process had sent it
        assert (await web.check(answer.json()["id"], code)).json()["approved"] is True
        assert len([name for name in redis.names() if b":v:" in name]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("script", [0, 1, 2], ids=["claimed", "counted", "settled"])
async def test_a_check_whose_process_was_killed_ends_well_at_another(redis: Server, script: int) -> None:
    async with Proxy(redis.url) as proxy, lab(redis.url) as web:
        id_ = (await web.start(number(1))).json()["id"]
        await kill_in_the_middle(proxy, script, f"{id_}/check", {"code": web.code()})
        web.pass_time(LEASE)
        answer = await web.check(id_, web.code(), key="k")
        assert (answer.json()["approved"], counted(redis, id_)) == (True, 1)
        assert (await web.check(id_, web.code(), key="another")).status_code == 410


async def hang_up(url: str, request: bytes, sent: int) -> None:
    address = urlsplit(url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request[:sent])
    await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.slow
async def test_clients_that_hang_up_anywhere_leave_no_half_state(redis: Server) -> None:
    seeded, clients = random.Random(7), 500  # noqa: S311 - repeatable on purpose
    moved = [0]
    configuration = tables(redis.url, **LIFTED)
    async with (
        listening(configuration, Seams(skew=lambda: moved[0], draw=lambda _: CODE)) as (_, url),
        httpx.AsyncClient(base_url=url, headers=bearer("web1")) as client,
    ):
        for i in range(clients):
            body = {"to": number(i)}
            headers = {"Idempotency-Key": f"k{i}"}
            request = client.build_request("POST", "/v1/verifications/start", json=body, headers=headers)
            head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
            raw = f"POST {request.url.path} HTTP/1.1\r\n{head}\r\n".encode() + request.content
            await hang_up(url, raw, min(len(raw), seeded.randrange(1, 2 * len(raw))))
        assert (await client.get("/readyz")).status_code == 200
        moved[0] += round(LEASE * 1000)
        answers = [
            await client.post(
                "/v1/verifications/start", json={"to": number(i)}, headers={"Idempotency-Key": f"k{i}"}
            )
            for i in range(clients)
        ]
        assert {answer.status_code for answer in answers} == {201}
        assert {"true", None} == {answer.headers.get("Idempotency-Replayed") for answer in answers}
        assert events_of_numbers(redis, b"s:") == clients
        assert len([name for name in redis.names() if b":v:" in name]) == clients
        for answer in answers:
            path = f"/v1/verifications/{answer.json()['id']}/check"
            checked = await client.post(path, json={"code": CODE})
            assert checked.json()["approved"] is True


async def test_checks_past_a_full_hash_queue_are_503_and_not_counted(redis: Server) -> None:
    async with lab(redis.url, **LIFTED, hash_queue=4) as web:
        id_ = (await web.start()).json()["id"]
        with contextlib.ExitStack() as hashing:
            for _ in range((os.cpu_count() or 1) + 4):
                hashing.enter_context(web.service.pool.place())
            guesses = [web.check(id_, other_code(web.code(), i)) for i in range(1, 41)]
            answers = await asyncio.gather(*guesses)
        told = {(answer.status_code, answer.headers.get("Retry-After")) for answer in answers}
        assert (told, {answer.json()["code"] for answer in answers}) == ({(503, "1")}, {"overloaded"})
        assert counted(redis, id_) == 0
        assert (await web.check(id_, web.code())).json()["approved"] is True


@pytest.mark.slow
@pytest.mark.parametrize("hopeless", ["unknown", "spent"])
async def test_bystanders_are_served_during_hopeless_checks(redis: Server, hopeless: str) -> None:
    """200 at once, 1,600 in all, with the queue as it is shipped."""
    shipped = Settings.model_fields["hash_queue"].default
    async with lab(redis.url, **LIFTED, hash_queue=shipped) as web:
        id_ = (await web.start(number(1))).json()["id"]
        await web.cancel(id_)
        target = id_ if hopeless == "spent" else "vrf_" + "a" * 26
        places, underway = asyncio.Semaphore(200), asyncio.Event()

        async def attack() -> int:
            async with places:
                answer = await web.check(target, "000000")
                underway.set()
                return answer.status_code

        attacks = [asyncio.create_task(attack()) for _ in range(1600)]
        await underway.wait()
        started = await asyncio.gather(*(web.start(number(i)) for i in range(2, 5)))
        sent = {message.to: code_in(message.text) for message in web.inbox}
        checks = [web.check(one.json()["id"], sent[one.json()["to"]]) for one in started if one.is_success]
        checked = await asyncio.gather(*checks)
        during = not all(task.done() for task in attacks)
        told = set(await asyncio.gather(*attacks))
        assert ([answer.status_code for answer in started], during) == ([201] * 3, True)
        assert [answer.json().get("approved") for answer in checked] == [True] * 3
        assert told == {410 if hopeless == "spent" else 404}
