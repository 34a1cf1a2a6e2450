"""The sweep: no secret in any answer, log record, event, document or in Redis, through every state."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections import defaultdict
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client import generate_latest

from otp_service.events import Checked, Started
from otp_service.logs import formatter
from otp_service.service import Seams
from tests.faults_http import Connection, FaultServer, Reply
from tests.lab import NUMBER, SECRET, bearer, code_in, idempotent, other_code, tables
from tests.listening import listening
from tests.secrets_in import Searcher, forms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_service.events import Event
    from tests.servers import Server

VERIFICATIONS = 300
AT_ONCE = 10
STATES = ("approved", "pending", "max_attempts_reached", "canceled", "expired", "failed")
LIMITS = {"requests_per_key": "100000/1s", "unconverted_per_region": 10 * VERIFICATIONS}
KEYS = {name: bytes(range(start, start + 32)) for name, start in (("ring", 9), ("index", 99), ("proof", 180))}
CREDENTIALS = {"hash": "an-accounts-hash", "token": "an-accounts-token"}


@dataclass
class Evidence:
    """All that was written, by where."""

    texts: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def add(self, where: str, text: str | bytes) -> None:
        self.texts[where].append(text.encode() if isinstance(text, str) else text)

    def answer(self, response: httpx.Response) -> None:
        """An answer less the number where the contract has it: in ``to``, and as the subject of a proof."""
        head = repr(response.headers.raw)
        body = response.json()
        body.pop("to", None)
        if proof := body.pop("proof", None):
            first, payload, signature = proof.split(".")
            claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
            del claims["sub"]
            body["proof"] = [first, claims, signature]
        self.add("answers", head + json.dumps(body))

    def leaks(self, secrets: dict[str, bytes]) -> set[str]:
        searcher = Searcher(secrets)
        return {
            f"{found} in {where}"
            for where, texts in self.texts.items()
            for found in searcher.find(b"\n".join(texts))
        }


class Ear(logging.Handler):
    """Writes down every record with its arguments and its traceback, for machines and for people too."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(logging.DEBUG)
        self._evidence = evidence
        self._served = [formatter(json=True), formatter(json=False)]

    def emit(self, record: logging.LogRecord) -> None:
        self._evidence.add("logs", f"{self.format(record)} {record.args!r}")
        for served in self._served:
            self._evidence.add("logs", served.format(copy(record)))


@pytest.fixture
def evidence() -> Iterator[Evidence]:
    """Everything that any logger says, at DEBUG."""
    found = Evidence()
    ear, root = Ear(found), logging.getLogger()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    yield found
    root.removeHandler(ear)
    root.setLevel(level)


async def echoes(client: Connection) -> None:
    """Refuse everything, with the message that was sent in the text of the error."""
    while True:
        body = json.loads((await client.request()).body)
        said = {name: value for name, value in body.items() if name not in CREDENTIALS}
        client.reply = Reply(400, json.dumps({"error": f"no {said}"}).encode())
        await client.answer()


async def echoes_all(client: Connection) -> None:
    """Refuse everything, with the whole request in the text of the error."""
    request = await client.request()
    client.reply = Reply(400, json.dumps({"error": request.body.decode()}).encode())
    await client.answer()


def client_of(number: str) -> dict[str, str]:
    """Who asks for a code, with an address and a session like nobody else's."""
    return {"ip": f"2001:db9:{number[-8:-4]}:{number[-4:]}::1", "session": f"session-{number[::-1]}"}


class Walk:
    """One run of verifications through their states, with both ends: the caller's and the provider's."""

    def __init__(self, evidence: Evidence) -> None:
        self.client = httpx.AsyncClient()
        self.ids: dict[str, list[str]] = defaultdict(list)
        self.codes: dict[str, list[str]] = defaultdict(list)
        self.faulty = False
        self._evidence = evidence
        self._refused: set[str] = set()

    async def takes(self, client: Connection) -> None:
        """The provider that takes the messages, save those for certain numbers."""
        while True:
            body = json.loads((await client.request()).body)
            number = f"+{body['toNumber']}"
            self.codes[number].append(code_in(body["text"]))
            refusal = {"error": f"no {body['text']}"}
            said = refusal if number in self._refused else {"messages": [{"id": "m-1"}]}
            client.reply = Reply(body=json.dumps(said).encode())
            await client.answer()

    def hear(self, event: Event) -> None:
        self._evidence.add("events", repr(event))
        Seams().listener(event)  # as in production
        if self.faulty and isinstance(event, (Started, Checked)):
            raise ValueError(event)

    async def post(self, path: str, body: dict[str, Any], key: str | None = None) -> httpx.Response:
        answer = await self.client.post(f"/v1/verifications/{path}", json=body, headers=idempotent(key))
        self._evidence.answer(answer)
        return answer

    async def fetch(self, id_: str) -> None:
        self._evidence.answer(await self.client.get(f"/v1/verifications/{id_}"))

    async def to(self, state: str, number: str) -> None:
        if state == "failed":
            self._refused.add(number)
        body = {"to": number, "metadata": {"order": "42"}, "client": client_of(number)}
        for _ in range(2):
            answer = await self.post("start", body, key=f"key-of-{state}-{number[-3:]}")
        if state == "failed":
            assert answer.status_code == 502
            self.ids[state].append(answer.json()["verification_id"])
            return
        id_ = answer.json()["id"]
        self.ids[state].append(id_)
        code = self.codes[number][-1]
        wrong = {"pending": 1, "max_attempts_reached": 5, "approved": 1}.get(state, 0)
        for shift in range(1, wrong + 1):
            await self.post(f"{id_}/check", {"code": other_code(code, shift)})
        match state:
            case "approved":
                for _ in range(2):
                    await self.post(f"{id_}/check", {"code": code}, key=f"check-{number[-3:]}")
                await self.post(f"{id_}/check", {"code": code})
            case "canceled":
                await self.post(f"{id_}/cancel", {})
                await self.post(f"{id_}/check", {"code": code})
            case "pending":
                await self.post(f"{id_}/resend", {})
                await self.post(f"{id_}/check", {"code": code[:6]})
                await self.post("start", {"to": number + "x", "code": code})
        await self.fetch(id_)


def every_callback_in_the_log() -> None:
    """A loop in debug mode writes down what took long, arguments and all: here, whatever runs."""
    loop = asyncio.get_running_loop()
    loop.set_debug(enabled=True)
    loop.slow_callback_duration = 0


def configured(redis: Server, *urls: str) -> dict[str, Any]:
    providers = {
        f"p{i}": {"type": "smspm", "base_url": url, "options": CREDENTIALS, "timeout_seconds": 10}
        for i, url in enumerate(urls)
    }
    [ring, index, proof] = [base64.b64encode(key).decode() for key in KEYS.values()]
    return tables(
        redis.url,
        apps={"web": {"code_length": 10, "limits": LIMITS}},
        providers=providers,
        routes={"default": {"providers": list(providers)}},
        keyring=[f"k1:{ring}"],
        index_key=index,
        proof_keys=[f"p1:{proof}"],
    )


async def break_in_the_middle(walk: Walk, redis: Server, numbers: list[str]) -> None:
    """Faults of our own, each with its traceback: whoever listens raises, and a record cannot be opened."""
    walk.faulty = True
    for number in numbers:
        assert (await walk.post("start", {"to": number})).status_code == 500
    for id_ in walk.ids["expired"][:5]:
        assert (await walk.post(f"{id_}/check", {"code": "0123456789"})).status_code == 500
    walk.faulty = False
    for id_ in walk.ids["canceled"][:5]:
        [key] = [name for name in redis.names() if name.endswith(b":v:" + id_[4:].encode())]
        redis.run("HSET", key, "x", b"not what was sealed")
        await walk.fetch(id_)


@pytest.mark.slow
async def test_no_secret_is_written_anywhere(redis: Server, evidence: Evidence) -> None:
    walk, moved = Walk(evidence), [0]
    every_callback_in_the_log()
    numbers = [f"+3725{6_000_000 + 7919 * i:07d}" for i in range(VERIFICATIONS)]
    async with (
        FaultServer(echoes) as first,
        FaultServer(walk.takes) as second,
        listening(configured(redis, first.url, second.url), Seams(lambda: moved[0], listener=walk.hear)) as (
            service,
            url,
        ),
        httpx.AsyncClient(base_url=url, headers=bearer("live1", "live"), timeout=30) as walk.client,
    ):
        for i in range(0, VERIFICATIONS, AT_ONCE):
            batch = range(i, i + AT_ONCE)
            await asyncio.gather(*(walk.to(STATES[j % len(STATES)], numbers[j]) for j in batch))
        evidence.add("redis", redis.dump())
        evidence.add("openapi", (await walk.client.get("/openapi.json")).content)
        moved[0] += 40_000
        for id_ in walk.ids["pending"]:
            await walk.post(f"{id_}/resend", {})
        await break_in_the_middle(walk, redis, numbers[:5])
        moved[0] += 600_000
        for id_ in walk.ids["expired"] + walk.ids["pending"]:
            await walk.post(f"{id_}/check", {"code": "0123456789"})
            await walk.fetch(id_)
        evidence.add("redis", redis.dump())
        evidence.add("metrics", generate_latest(service.metrics.registry))

    codes = {f"a code of {number}": code.encode() for number, sent in walk.codes.items() for code in sent}
    people = {number[1:]: number[1:].encode() for number in numbers} | {one: one.encode() for one in numbers}
    clients = {said: said.encode() for number in numbers for said in client_of(number).values()}
    others = {"API secret": SECRET.encode()} | {name: text.encode() for name, text in CREDENTIALS.items()}
    assert len(codes) == len(numbers)
    assert {len(code) for code in codes.values()} == {10}
    assert set(evidence.texts) == {"answers", "logs", "events", "redis", "openapi", "metrics"}
    logged = b"".join(evidence.texts["logs"])
    assert b"Traceback" in logged
    assert b"Executing <" in logged
    assert b'"event": "Checked"' in logged
    assert b"otp_checks_total{" in b"".join(evidence.texts["metrics"])
    assert evidence.leaks(codes | people | clients | others | KEYS) == set()


async def test_credentials_that_a_provider_repeats_are_not_written(redis: Server, evidence: Evidence) -> None:
    walk = Walk(evidence)
    async with (
        FaultServer(echoes_all) as provider,
        listening(configured(redis, provider.url), Seams(listener=walk.hear)) as (_, url),
        httpx.AsyncClient(base_url=url, headers=bearer("live1", "live"), timeout=30) as walk.client,
    ):
        assert (await walk.post("start", {"to": NUMBER})).status_code == 502
    assert evidence.leaks({name: text.encode() for name, text in CREDENTIALS.items()}) == set()


CODE = b"0123987654"


@pytest.mark.parametrize("form", forms(CODE))
def test_a_planted_leak_is_found_in_every_form(form: str) -> None:
    planted = b"2026-11-20 somebody wrote " + forms(CODE)[form] + b" here"
    assert any(found.startswith("code (") for found in Searcher({"code": CODE}).find(planted))


@pytest.mark.parametrize("form", ["plain", "hex", "base64.0", "url", "sha256.hex", "sha1.base64"])
@pytest.mark.parametrize("before", ["", "a", "ab"])
def test_a_planted_leak_is_found_inside_a_token(form: str, before: str) -> None:
    claims = json.dumps({before: forms(CODE)[form].decode()}).encode()
    token = b"eyJhbGciOiJFZERTQSJ9." + base64.urlsafe_b64encode(claims).rstrip(b"=") + b".c2lnbmF0dXJl"
    assert Searcher({"code": CODE}).find(b'{"proof":"' + token + b'"}')


@pytest.mark.parametrize("prefix", [b"", b"1", b"12", b"123"])
def test_a_planted_leak_is_found_in_the_middle_of_base64(prefix: bytes) -> None:
    assert Searcher({"code": CODE}).find(base64.b64encode(prefix + CODE + b" is the code"))


@pytest.mark.parametrize("where", ["answers", "logs", "events", "redis", "openapi", "metrics"])
def test_a_planted_leak_is_found_wherever_it_is(where: str, evidence: Evidence) -> None:
    evidence.add(where, b"..." + CODE)
    assert evidence.leaks({"code": CODE}) == {f"code (plain) in {where}", f"code (repr) in {where}",
                                              f"code (url) in {where}"}  # fmt: skip


def test_a_planted_leak_is_found_in_an_argument_of_a_log_record(evidence: Evidence) -> None:
    logging.getLogger("httpx").debug("sent %s", {"code": CODE})
    assert evidence.leaks({"code": CODE})


def test_a_planted_leak_is_found_in_a_traceback(evidence: Evidence) -> None:
    try:
        int(f"{CODE.decode()}x")
    except ValueError:
        logging.getLogger("otp_service").exception("fault")
    assert evidence.leaks({"code": CODE})


def test_a_planted_leak_is_found_in_redis(redis: Server, evidence: Evidence) -> None:
    redis.put("code", CODE)
    evidence.add("redis", redis.dump())
    assert evidence.leaks({"code": CODE})


def test_a_planted_leak_is_found_beside_the_number_that_the_contract_has(evidence: Evidence) -> None:
    evidence.answer(httpx.Response(200, json={"to": "+37256789045", "detail": "for +37256789045"}))
    evidence.answer(httpx.Response(200, json={"to": "+37256789046", "detail": ""}))
    assert evidence.leaks({"first": b"37256789045"})
    assert not evidence.leaks({"second": b"37256789046"})
