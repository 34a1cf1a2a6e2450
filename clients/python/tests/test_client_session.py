from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

import otp_client
from otp_client._session import TOLD, Held, Step, wants_json

NUMBER = "+37256789045"


def proof_of(number: str) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"sub": number}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


def approved(number: str = NUMBER) -> dict[str, Any]:
    body = {
        "id": "vrf_7",
        "status": "approved",
        "approved": True,
        "checks_left": 4,
        "proof": proof_of(number),
    }
    return {"status": 200, "body": body}


def problem(status: int, code: str, **members: Any) -> dict[str, Any]:
    return {"status": status, "body": {"code": code, "detail": "For developers.", **members}}


def missed(checks_left: int, status: str = "pending") -> dict[str, Any]:
    body = {"id": "vrf_7", "status": status, "approved": False, "checks_left": checks_left}
    return {"status": 200, "body": body}


@pytest.fixture
def session() -> dict[str, Any]:
    return {"otp:signup": "vrf_7"}


@pytest.fixture
def take(api_key: str, session: dict[str, Any]) -> Any:
    """One step of that session, by what the service answers; the requests that it made go into ``asked``."""

    def run(step: str, answer: Any, posted: Any = None, number: str | None = None) -> Any:
        def handle(request: httpx.Request) -> httpx.Response:
            run.asked.append(request)  # type: ignore[attr-defined]
            if answer is None:
                raise httpx.ConnectError("refused", request=request)
            return httpx.Response(answer["status"], json=answer["body"])

        http = httpx.Client(transport=httpx.MockTransport(handle))
        held = Held(session, "signup", number, "203.0.113.9", {"web": "example.com"})
        with http:
            client = otp_client.Client("https://otp.example.com", api_key, http_client=http, max_retries=0)
            try:
                wanted = Step(step)
                return held.told(wanted, held.ask(client, wanted, posted or {}))
            except otp_client.OtpError as error:
                return held.refused(error)

    run.asked = []  # type: ignore[attr-defined]
    return run


def test_a_start_is_asked_with_all_that_is_known(take: Any, pending: Any, session: Any) -> None:
    take("start", pending, {"to": "56789045", "region": "EE", "locale": "et"})
    assert json.loads(take.asked[0].content) == {
        "to": "56789045",
        "region": "EE",
        "locale": "et",
        "purpose": "signup",
        "autofill": {"web": "example.com"},
        "client": {"ip": "203.0.113.9", "session": session["otp_session"]},
    }


def test_a_start_tells_what_the_component_counts_with_and_no_id(take: Any, pending: Any) -> None:
    pending["body"] = pending["body"] | {"next_send_in": 30, "checks_left": 5, "sends_left": 4}
    answer = take("start", pending, {"to": NUMBER})
    assert (answer.status, answer.notice) == (201, "")
    assert answer.body == {
        "status": "pending",
        "next_send_in": 30,
        "checks_left": 5,
        "sends_left": 4,
        "expires_in": 600,
    }


def test_the_id_is_in_the_session_and_the_number_is_not(take: Any, pending: Any, session: Any) -> None:
    session.clear()
    take("start", pending, {"to": NUMBER})
    assert session["otp:signup"] == "vrf_7"
    assert NUMBER not in session.values()


def test_a_known_number_is_asked_whatever_the_browser_says(take: Any, pending: Any) -> None:
    take("start", pending, {"to": "+14155550132", "region": "US"}, NUMBER)
    asked = json.loads(take.asked[0].content)
    assert (asked["to"], "region" in asked) == (NUMBER, False)


def test_the_session_has_one_name_for_the_service(take: Any, pending: Any) -> None:
    for _ in range(2):
        take("start", pending, {"to": NUMBER})
    first, second = (json.loads(each.content)["client"]["session"] for each in take.asked)
    assert first == second


def test_a_right_code_gives_the_number_that_was_proved_and_is_forgotten(take: Any, session: Any) -> None:
    answer = take("check", approved(), {"code": "123456"})
    assert (answer.number, "otp:signup" in session) == (NUMBER, False)
    assert answer.body == {"approved": True, "checks_left": 4, "status": "approved"}


def test_a_check_names_the_sessions_id_and_no_other(take: Any) -> None:
    take("check", approved(), {"code": "123456", "id": "vrf_stolen", "purpose": "login"})
    [asked] = take.asked
    assert asked.url.path == "/v1/verifications/vrf_7/check"
    assert json.loads(asked.content) == {"code": "123456", "purpose": "signup"}


def test_a_wrong_code_gives_no_number_and_the_session_keeps_the_id(take: Any, session: Any) -> None:
    answer = take("check", missed(3), {"code": "123456"})
    assert (answer.status, answer.number, session["otp:signup"]) == (200, None, "vrf_7")
    assert answer.notice == "Wrong code. Attempts left: 3."


def test_the_last_wrong_code_ends_it(take: Any, session: Any) -> None:
    answer = take("check", missed(0, "max_attempts_reached"), {"code": "123456"})
    assert (answer.body["status"], "otp:signup" in session) == ("max_attempts_reached", False)


def test_a_code_for_another_number_than_the_known_one_proves_nothing(
    take: Any, session: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answer = take("check", approved("+14155550132"), {"code": "123456"}, NUMBER)
    assert (answer.status, answer.body["code"], answer.number) == (404, "verification_not_found", None)
    assert "E.164" in caplog.text
    assert "otp:signup" not in session


@pytest.mark.parametrize("proof", ["", "x", "e30.e30.c2ln", "e30.WyJhIl0.c2ln", proof_of(7)])  # type: ignore[arg-type]
def test_an_approval_whose_proof_names_no_number_proves_nothing(proof: str, take: Any) -> None:
    answer = approved()
    answer["body"] = answer["body"] | {"proof": proof}
    assert take("check", answer, {"code": "123456"}).number is None


@pytest.mark.parametrize("step", ["resend", "check"])
def test_without_a_start_there_is_nothing_to_do(step: str, take: Any, session: Any) -> None:
    session.clear()
    answer = take(step, None, {"code": "123456", "id": "vrf_7"})
    assert (answer.status, answer.body["code"], take.asked) == (404, "verification_not_found", [])


@pytest.mark.parametrize(("step", "code"), [("start", "invalid_number"), ("check", "invalid_code_format")])
@pytest.mark.parametrize("typed", [{}, {"to": "", "code": ""}, {"to": 5, "code": 6}])
def test_what_was_not_typed_is_not_asked(step: str, code: str, typed: Any, take: Any) -> None:
    answer = take(step, None, typed)
    assert (answer.status, answer.body["code"], take.asked) == (422, code, [])


@pytest.mark.parametrize("code", TOLD)
def test_what_a_person_can_mend_keeps_its_code_and_gets_a_sentence_for_them(code: str, take: Any) -> None:
    answer = take("start", problem(422, code), {"to": NUMBER})
    assert (answer.status, answer.body["code"], answer.notice) == (422, code, answer.body["detail"])
    assert "developers" not in answer.notice


def test_a_throttled_person_is_told_how_long(take: Any) -> None:
    answer = take("resend", problem(429, "throttled", retry_after=30, reason="cooldown"))
    assert answer.body == {
        "code": "throttled",
        "detail": "Not yet. Try again in 30 seconds.",
        "retry_after": 30,
    }
    assert answer.headers == {"Cache-Control": "no-store", "Retry-After": "30"}


def test_a_closed_verification_is_forgotten_and_says_why(take: Any, session: Any) -> None:
    answer = take(
        "check", problem(410, "verification_closed", verification_status="expired"), {"code": "123456"}
    )
    assert (answer.body["verification_status"], answer.body["checks_left"]) == ("expired", 0)
    assert "otp:signup" not in session


def test_a_verification_whose_last_check_is_being_compared_is_not_forgotten(take: Any, session: Any) -> None:
    closed = problem(410, "verification_closed", verification_status="pending")
    take("check", closed, {"code": "123456"})
    assert session["otp:signup"] == "vrf_7"


@pytest.mark.parametrize("purpose", ["session", "notice"])
def test_no_purpose_names_another_entry_of_the_session(purpose: str) -> None:
    session = {"otp_session": "s", "otp_notice": "n"}
    assert not Held(session, purpose, None, None, None).pending


def test_a_refused_resend_leaves_the_verification(take: Any, session: Any) -> None:
    take("resend", problem(429, "throttled", retry_after=30))
    assert session["otp:signup"] == "vrf_7"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        problem(401, "unauthenticated"),
        problem(403, "forbidden"),
        problem(503, "overloaded"),
        problem(500, "x"),
    ],
)
def test_what_is_not_the_persons_affair_is_503_and_logged(
    answer: Any, take: Any, api_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = take("start", answer, {"to": NUMBER})
    assert (told.status, told.body["code"]) == (503, "unavailable")
    [record] = caplog.records
    assert (record.name, record.levelname) == ("otp_client", "ERROR")
    assert api_key not in record.getMessage()
    assert NUMBER not in record.getMessage()


def test_an_answers_repr_hides_the_number(take: Any) -> None:
    assert NUMBER not in repr(take("check", approved(), {"code": "123456"}))


@pytest.mark.parametrize(
    ("content_type", "accept", "json_wanted"),
    [
        ("application/x-www-form-urlencoded", "text/html,*/*;q=0.8", False),
        ("application/x-www-form-urlencoded", "application/json", True),
        ("application/json; charset=utf-8", "*/*", True),
        (None, None, False),
    ],
)
def test_a_script_asks_for_json(content_type: str | None, accept: str | None, json_wanted: bool) -> None:  # noqa: FBT001 - a case
    assert wants_json(content_type, accept) is json_wanted
