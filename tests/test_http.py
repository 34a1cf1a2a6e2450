"""The HTTP face: order of errors, bodies, headers, the edge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from otp_service.codes import Binding
from otp_service.delivery.provider import Callback, Message
from otp_service.dispatch import Wish
from otp_service.http.documents import CheckIn, StartIn
from otp_service.phone import parse
from otp_service.verification import Check, Status, Target, VerificationId
from otp_service.verifier import Guess
from tests.lab import NUMBER, SECRET, SEED, Lab, bearer, lab, other_code

if TYPE_CHECKING:
    from tests.servers import Server

START = "/v1/verifications/start"
JSON = {"Content-Type": "application/json"}


async def raw(web: Lab, content: bytes, **headers: str) -> Any:
    return await web.http.post(START, content=content, headers=JSON | headers)


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"x" * 16_385, {"Authorization": ""}, 413, "payload_too_large"),
        (b"{}", {"Authorization": "", "Content-Type": "text/plain"}, 401, "unauthenticated"),
        (b"{", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{", {}, 400, "malformed_json"),
        (b"{}", {}, 422, "invalid_request"),
    ],
)
async def test_errors_come_in_the_contracts_order(
    web: Lab, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await web.http.post(START, content=content, headers=JSON | headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == f"http://127.0.0.1:8080/errors/{code}"


@pytest.mark.parametrize(
    "content",
    [
        b'{"to": "+37256789045", "to": "+37256789046"}',
        b'{"to": "+3725678\\u00009045"}',
        b'{"to": "+37256789045", "metadata": {"a": "\\ud800"}}',
        b'{"to": "\xff"}',
        b'{"to": NaN}',
        b"[" * 8000,
        b'{"to": ' + b"9" * 5000 + b"}",
        b"",
    ],
)
async def test_a_body_with_two_readings_is_malformed(web: Lab, content: bytes) -> None:
    answer = await raw(web, content)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"to": NUMBER, "colour": "red"}, "/colour"),
        ({"to": 37256789045}, "/to"),
        ({"to": NUMBER, "purpose": "Log In"}, "/purpose"),
        ({"to": NUMBER, "purpose": "login\n"}, "/purpose"),
        ({"to": NUMBER, "metadata": {"k": 1}}, "/metadata/k"),
        ({"to": NUMBER, "metadata": {str(i): "" for i in range(11)}}, "/metadata"),
        ({"to": NUMBER, "transaction": {"payee": "ACME"}}, "/transaction/amount"),
        ({"to": NUMBER, "client": {"ip": "203.0.113.9", "port": 1}}, "/client/port"),
        ([], ""),
        ("text", ""),
    ],
)
async def test_a_fault_in_a_body_is_pointed_at(web: Lab, body: Any, pointer: str) -> None:
    answer = await raw(web, json.dumps(body).encode())
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"to": "+372"}, "invalid_number", "/to"),
        ({"to": "56789045"}, "invalid_number", "/to"),
        ({"to": "56789045", "region": "ee"}, "invalid_number", "/region"),
        ({"to": NUMBER, "channel": "voice"}, "unsupported_channel", "/channel"),
        ({"to": NUMBER, "autofill": {"web": "evil.example"}}, "invalid_request", "/autofill/web"),
        (
            {"to": NUMBER, "transaction": {"payee": "a.com", "amount": "1"}},
            "invalid_request",
            "/transaction/payee",
        ),
        (
            {"to": NUMBER, "locale": "et", "transaction": {"payee": "A", "amount": "€"}},
            "invalid_request",
            "/transaction/amount",
        ),
    ],
)
async def test_what_cannot_be_sent_is_422(web: Lab, body: Any, code: str, pointer: str) -> None:
    answer = await raw(web, json.dumps(body).encode())
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert web.inbox == []


async def test_a_national_number_with_its_region_is_taken(web: Lab) -> None:
    assert (await web.start("5678 9045", region="EE")).json()["to"] == NUMBER


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", '; charset="UTF-8"'])
async def test_json_in_utf8_is_taken(web: Lab, charset: str) -> None:
    answer = await raw(
        web, json.dumps({"to": NUMBER}).encode(), **{"Content-Type": "application/json" + charset}
    )
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Encoding": "gzip"},
        {"Content-Type": ""},
    ],
)
async def test_any_other_body_is_415(web: Lab, headers: dict[str, str]) -> None:
    assert (await raw(web, b"{}", **headers)).status_code == 415


@pytest.mark.naive("key_id_is_enough")
async def test_no_key_unknown_key_and_wrong_key_answer_alike(web: Lab) -> None:
    presented = [
        "",
        "Bearer",
        f"Basic otp_test_web1_{SECRET}",
        f"Bearer otp_test_nobody_{SECRET}",
        f"Bearer otp_test_web1_{SECRET[:-1]}x",
        f"Bearer otp_live_web1_{SECRET}",
        f"Bearer otp_test_web1_{SECRET}\xb2",
    ]
    answers = [
        await web.http.post(
            START,
            json={"to": NUMBER},
            headers={"Authorization": text.encode("latin-1"), "X-Request-Id": "same"},
        )
        for text in presented
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(401, answers[0].content)}
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"


async def test_a_reading_key_reads_and_does_nothing_else(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    read = await web.http.get(f"/v1/verifications/{id_}", headers=bearer("reader"))
    refused = await web.post(f"{id_}/cancel", headers=bearer("reader"))
    assert (read.status_code, refused.status_code, refused.json()["code"]) == (200, 403, "forbidden")


@pytest.mark.parametrize(
    "id_",
    ["vrf_", "vrf_" + "a" * 25, "vrf_" + "a" * 26, "VRF_" + "a" * 26, "vrf_" + "a" * 25 + "b", "..", "%00"],
)
async def test_an_unknown_id_is_404(web: Lab, id_: str) -> None:
    answer = await web.check(id_, "123456")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", START, 405)])
async def test_what_is_not_there_is_a_problem_too(web: Lab, method: str, path: str, status: int) -> None:
    answer = await web.http.request(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


@pytest.mark.naive("counts_any_length")
async def test_what_cannot_be_its_code_costs_no_check(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    for code in ("12345", "1234567", "abc", "12345678901", "12 34", "12345\n", "１２３", "²²²²²²"):
        answer = await web.check(id_, code)
        assert (answer.status_code, answer.json().get("code")) == (422, "invalid_code_format")
        assert [(fault["pointer"], fault["detail"] != "") for fault in answer.json()["errors"]] == [
            ("/code", True)
        ]
    assert (await web.fetch(id_)).json()["checks_left"] == 5


async def test_another_length_than_its_codes_is_pointed_at(web: Lab) -> None:
    answer = await web.check((await web.start()).json()["id"], "12345")
    assert answer.json() | {"request_id": ""} == {
        "type": "http://127.0.0.1:8080/errors/invalid_code_format",
        "title": "Invalid code format",
        "status": 422,
        "code": "invalid_code_format",
        "detail": "The code of this verification has another length, so no check was spent.",
        "errors": [{"pointer": "/code", "detail": "has another length than the code that was sent"}],
        "request_id": "",
    }


@pytest.mark.parametrize(
    "write", ["{0}{1}{2} {3}{4}{5}", "{0}-{1}-{2}-{3}-{4}-{5}", " {0}{1}{2}–{3}{4}{5}\u00a0"]
)
async def test_spaces_and_dashes_in_a_code_are_dropped(web: Lab, write: str) -> None:
    id_ = (await web.start()).json()["id"]
    assert (await web.check(id_, write.format(*web.code()))).json()["approved"] is True


@pytest.mark.parametrize("zero", ["٠", "０", "०"])
async def test_digits_of_any_script_are_digits(web: Lab, zero: str) -> None:
    id_ = (await web.start()).json()["id"]
    theirs = "".join(chr(ord(zero) + int(digit)) for digit in web.code())
    assert (await web.check(id_, theirs)).json()["approved"] is True


async def test_a_sane_request_id_is_echoed_and_another_is_not(web: Lab) -> None:
    sane = await web.http.get("/livez", headers={"X-Request-Id": "abc-1"})
    odd = await web.http.get("/livez", headers={"X-Request-Id": "a b"})
    assert sane.headers["X-Request-Id"] == "abc-1"
    assert odd.headers["X-Request-Id"].startswith("req_")


async def test_the_tightest_budget_is_in_the_headers(web: Lab) -> None:
    answer = await web.start()
    assert answer.headers["RateLimit-Policy"] == '"live_verifications";q=3;w=600'
    assert answer.headers["RateLimit"] == '"live_verifications";r=2;t=600'


async def test_a_resend_names_its_tightest_budget_too(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    web.pass_time(30)
    answer = await web.resend(id_)
    assert answer.headers["RateLimit-Policy"] == '"sends_per_number";q=5;w=3600'
    assert answer.headers["RateLimit"] == '"sends_per_number";r=3;t=3570'


async def test_a_refusal_names_its_budget_and_the_seconds_to_wait(web: Lab) -> None:
    answer = await web.resend((await web.start()).json()["id"])
    assert (answer.status_code, answer.json()["detail"]) == (429, "Not yet: try again in 30 seconds.")
    assert answer.headers["RateLimit-Policy"] == '"cooldown";q=1;w=30'
    assert answer.headers["RateLimit"] == '"cooldown";r=0;t=30'


async def test_past_the_ceiling_every_route_answers_429(redis: Server, ground: Any) -> None:
    limits = {"requests_per_key": "3/1h"}
    async with lab(
        redis.url, apps={"web": {"limits": limits}}, limits={"requests_per_address": "2/1h"}
    ) as web:
        mine = [await web.http.get(path) for path in ("/livez", "/nowhere", START, "/livez")]
        assert [answer.status_code for answer in mine] == [200, 404, 404, 429]
        assert mine[-1].json()["reason"] == "requests_per_key"
        assert 3500 <= int(mine[-1].headers["Retry-After"]) <= 3600
        stranger = {"Authorization": "Bearer otp_test_web2_wrong"}
        theirs = [await web.http.get("/livez", headers=stranger) for _ in range(3)]
        assert [answer.status_code for answer in theirs] == [200, 200, 429]
        assert (await web.http.get("/livez", headers=bearer("web2"))).status_code == 200


@pytest.mark.naive("believes_headers")
@pytest.mark.parametrize("changes", [{"limits": {"requests_per_address": "5/1h"}}])
async def test_a_header_never_chooses_the_bucket(web: Lab) -> None:
    names = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP")
    answers = [
        await web.http.get("/livez", headers={"Authorization": "", name: f"198.51.100.{i}"})
        for i in range(5)
        for name in names
    ]
    assert [answer.status_code for answer in answers].count(200) == 5


async def test_alive_and_ready(web: Lab) -> None:
    assert (await web.http.get("/livez")).json() == {"status": "alive"}
    assert (await web.http.get("/readyz")).json() == {"status": "ready"}
    web.service.draining = True
    draining = await web.http.get("/readyz")
    assert (draining.status_code, draining.json(), "Retry-After" in draining.headers) == (
        503, {"status": "draining"}, True,
    )  # fmt: skip


async def test_the_document_names_every_verb_with_its_body_and_problems(web: Lab) -> None:
    document = (await web.http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    verbs = {verb["operationId"]: verb for path in document["paths"].values() for verb in path.values()}
    assert set(verbs) == {"start", "resend", "check", "cancel", "fetch", "livez", "readyz", "jwks"}
    assert set(verbs["start"]["responses"]) == {
        "201", "400", "401", "403", "409", "413", "415", "422", "429", "502", "503",
    }  # fmt: skip
    schema = verbs["check"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/CheckIn"}
    assert "ValidationError" not in json.dumps(document)
    assert {"Retry-After", "RateLimit", "X-Request-Id"} <= set(verbs["start"]["responses"]["429"]["headers"])
    named = json.dumps(document)
    assert all(f'"{name}":' in named for name in ("StartIn", "CheckIn", "NothingIn", "TransactionIn"))


async def test_an_answer_never_holds_what_a_caller_sent(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    code = other_code(web.code())
    answers = [
        await web.check(id_, code, purpose="NO"),
        await web.start("+3725678904512345"),
        await raw(web, b'{"to": "+37256789045", "secret-field": "secret-value"}'),
    ]
    for answer in answers:
        assert code not in answer.text
        assert "5678904" not in answer.text
        assert "secret-value" not in answer.text


async def test_a_trailing_slash_leads_nowhere(web: Lab) -> None:
    answer = await web.http.post(START + "/", json={"to": NUMBER}, headers={"Host": "evil.example"})
    assert (answer.status_code, "location" in answer.headers) == (404, False)


async def test_a_fault_of_ours_has_a_request_id_and_says_nothing(web: Lab) -> None:
    async def breaks(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("secret")

    web.service.store.fetch = breaks  # type: ignore[method-assign]
    answer = await web.fetch("vrf_" + "a" * 26)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]
    assert "secret" not in answer.text


@pytest.mark.parametrize("ip", ["not an ip", "203.0.113.9:80", "203.0.113.0/24", ""])
async def test_a_clients_address_is_an_address(web: Lab, ip: str) -> None:
    answer = await web.start(client={"ip": ip})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/client/ip")


async def test_the_scheme_is_read_in_any_case(web: Lab) -> None:
    headers = {"Authorization": f"BEARER otp_test_web1_{SECRET}"}
    assert (await web.post("start", {"to": NUMBER}, headers=headers)).status_code == 201


async def test_a_flood_of_faults_is_cut(web: Lab) -> None:
    answer = await raw(web, json.dumps({f"f{i}": 1 for i in range(1000)}).encode())
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 20)


async def test_a_wrong_key_slows_only_requests_with_a_wrong_key(redis: Server, ground: Any) -> None:
    async with lab(redis.url, limits={"requests_per_address": "2/1h"}) as web:
        wrong = {"Authorization": "Bearer otp_test_web1_wrong"}
        answers = [await web.http.get("/livez", headers=wrong) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert (await web.http.get("/livez", headers={"Authorization": ""})).status_code == 429
        del web.http.headers["Authorization"]
        assert (await web.http.get("/livez")).status_code == 200


async def test_a_client_that_hangs_up_in_its_body_is_no_fault_of_ours(web: Lab, caplog: Any) -> None:
    app = web.http._transport.app  # type: ignore[attr-defined]
    said = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    scope = {
        "type": "http", "method": "POST", "path": START, "raw_path": START.encode(), "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "http_version": "1.1", "scheme": "http",
    }  # fmt: skip
    answers: list[Any] = []

    async def receive() -> Any:
        return next(said)

    async def send(message: Any) -> None:
        answers.append(message)

    await app(scope, receive, send)
    assert answers[0]["status"] == 400
    assert "Traceback" not in caplog.text


async def test_a_proof_from_a_test_key_says_so(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    proof = (await web.check(id_, web.code())).json()["proof"]
    assert jwt.decode(proof, options={"verify_signature": False})["test"] is True


async def test_no_repr_holds_a_secret(web: Lab) -> None:
    id_ = VerificationId(bytes(16))
    target = Target(NUMBER, metadata={"k": "private"})
    shown = repr(
        [
            Binding("web", id_, NUMBER, "login", None),
            Check(id_, Status.APPROVED, approved=True, checks_left=4, proof="proof"),
            CheckIn(code="424242"),
            StartIn(to=NUMBER, metadata={"k": "private"}),
            Guess("login", None, "424242"),
            Wish(parse(NUMBER), "login", target, "session"),
            Message(NUMBER, "EE", "424242 is your code", 600, "a", None),
            Callback("POST", "https://otp.example.com/v1/receipts/first/token", {}, b"424242"),
            web.service,
        ]
    )
    for secret in (NUMBER, "private", "proof'", "424242", "'session'", "receipts", SEED, SECRET):
        assert secret not in shown
