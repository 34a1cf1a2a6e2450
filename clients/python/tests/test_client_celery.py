from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from otp_client import Client, ConnectionFailed, Throttled

celery = pytest.importorskip("celery", reason="celery is not installed: pip install -e '.[ci]'")

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBER = "+37256789045"


@pytest.fixture
def registered(api_key: str) -> Callable[..., Any]:
    """The task over a service that gives these answers in order; None is no answer."""

    def make(*answers: dict[str, Any] | None) -> Any:
        left = list(answers)

        def handle(request: httpx.Request) -> httpx.Response:
            make.requests.append(request)  # type: ignore[attr-defined]
            answer = left.pop(0)
            if answer is None:
                raise httpx.ConnectError("refused", request=request)
            return httpx.Response(answer["status"], json=answer["body"])

        from otp_client.celery import start_task  # noqa: PLC0415 - where Celery is installed

        http = httpx.Client(transport=httpx.MockTransport(handle))
        client = Client("https://otp.example.com", api_key, http_client=http, max_retries=0)
        return start_task(celery.Celery(broker="memory://", set_as_current=False), client)

    make.requests = []  # type: ignore[attr-defined]
    return make


def test_the_task_gives_the_id(registered: Any, pending: Any) -> None:
    assert registered(pending).apply((NUMBER,), {"purpose": "invite"}).get() == "vrf_7"
    assert b'"purpose":"invite"' in registered.requests[0].content


def test_every_try_of_a_task_has_its_id_for_a_key(registered: Any, pending: Any) -> None:
    down = {"status": 503, "body": {"code": "overloaded"}}
    assert registered(None, down, pending).apply((NUMBER,), task_id="t7").get() == "vrf_7"
    assert [each.headers["Idempotency-Key"] for each in registered.requests] == ["celery-t7"] * 3
    assert len({each.content for each in registered.requests}) == 1


def test_a_task_delivered_twice_asks_under_one_key(registered: Any, pending: Any) -> None:
    task = registered(pending, pending)
    for _ in range(2):
        task.apply((NUMBER,), task_id="t7")
    assert {each.headers["Idempotency-Key"] for each in registered.requests} == {"celery-t7"}


def test_a_refusal_is_final(registered: Any) -> None:
    throttled = {"status": 429, "body": {"code": "throttled", "retry_after": 30}}
    result = registered(throttled).apply((NUMBER,))
    assert (type(result.result), len(registered.requests)) == (Throttled, 1)


def test_a_wait_that_outlives_the_key_is_final(registered: Any) -> None:
    result = registered({"status": 503, "body": {"code": "overloaded", "retry_after": 481}}).apply((NUMBER,))
    assert (result.failed(), len(registered.requests)) == (True, 1)


def test_all_tries_end_within_the_hour_that_a_key_is_kept(registered: Any) -> None:
    from otp_client.celery import LONGEST_WAIT_SECONDS, MAX_RETRIES  # noqa: PLC0415 - where Celery is installed

    result = registered(*[None] * (MAX_RETRIES + 1)).apply((NUMBER,))
    assert (type(result.result), len(registered.requests)) == (ConnectionFailed, MAX_RETRIES + 1)
    assert MAX_RETRIES * (LONGEST_WAIT_SECONDS + 60) < 3600


def test_neither_the_log_nor_the_messages_headers_show_the_number(
    registered: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    task = registered(None, None, None, None, None, None, None)
    sent: list[dict[str, Any]] = []
    from celery.signals import before_task_publish  # noqa: PLC0415 - where Celery is installed

    def publish(headers: dict[str, Any], **_: Any) -> None:
        sent.append(headers)

    before_task_publish.connect(publish, weak=True)
    task.delay(NUMBER)
    task.apply((NUMBER,))
    assert [(each["argsrepr"], each["kwargsrepr"]) for each in sent] == [("(...)", "{...}")]
    assert NUMBER not in caplog.text + repr(sent)
