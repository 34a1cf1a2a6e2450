"""The log: one line for each event, for machines or for people, and nothing secret in it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from otp_service import events
from otp_service.delivery.provider import Answer, Outcome
from otp_service.logs import formatter
from otp_service.verification import Delivery
from tests.lab import NUMBER, lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

LOUD = {"listener": events.log}
STARTED = events.Started("web", "vrf_x", "login", "EE")


@contextmanager
def written(*, as_json: bool = True, level: int = logging.INFO) -> Iterator[io.StringIO]:
    """What the root logger writes meanwhile."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(json=as_json))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def of(stream: io.StringIO, event: str) -> list[dict[str, Any]]:
    return [line for line in lines(stream) if line["event"] == event]


def test_an_event_is_one_object_with_its_fields() -> None:
    with written() as stream:
        events.log(STARTED)
    [line] = lines(stream)

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "Started", "level": "info",
        "app": "web", "verification": "vrf_x", "purpose": "login", "region": "EE",
    }  # fmt: skip


def test_people_read_the_same_in_words() -> None:
    with written(as_json=False) as stream:
        events.log(STARTED)
    [line] = stream.getvalue().splitlines()

    assert all(word in line for word in ("Started", "vrf_x", "login"))


def test_without_a_formatter_of_ours_an_event_is_still_readable() -> None:
    assert str(STARTED) == "Started app=web verification=vrf_x purpose=login region=EE"


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (STARTED, "info"),
        (events.Refused("web", "blocked", "number_type"), "info"),
        (events.Refused("", "unauthenticated", ""), "debug"),
        (events.NumberClosed("web", "vrf_x"), "warning"),
        (events.Unrecorded("web", "vrf_x"), "warning"),
        (events.Faulted("ValueError", "req_x"), "error"),
    ],
)
def test_an_events_level_says_who_should_look(event: events.Event, level: str) -> None:
    with written(level=logging.DEBUG) as stream:
        events.log(event)
    assert [line["level"] for line in lines(stream)] == [level]


def test_what_libraries_log_reads_the_same() -> None:
    with written() as stream:
        logging.getLogger("uvicorn.error").warning("too many %s", "things")
    assert [(line["event"], line["level"]) for line in lines(stream)] == [("too many things", "warning")]


async def test_an_event_carries_the_id_of_its_request(redis: Server) -> None:
    with written() as stream:
        async with lab(redis.url, seams=LOUD) as web:
            await web.post("start", {"to": NUMBER}, headers={"X-Request-Id": "mine"})
    told = of(stream, "Started") + of(stream, "Tried")

    assert [line["request_id"] for line in told] == ["mine", "mine"]


async def test_requests_at_the_same_time_keep_their_own_ids(redis: Server) -> None:
    numbers = [f"+3725678904{last}" for last in range(8)]
    with written() as stream:
        async with lab(redis.url, seams=LOUD) as web:
            answers = await asyncio.gather(
                *(web.post("start", {"to": to}, headers={"X-Request-Id": to[1:]}) for to in numbers)
            )
    expected = {answer.json()["id"]: answer.headers["X-Request-Id"] for answer in answers}

    assert {line["verification"]: line["request_id"] for line in of(stream, "Tried")} == expected


async def test_the_id_of_a_request_ends_with_it(redis: Server) -> None:
    with written() as stream:
        async with lab(redis.url) as web:
            await web.http.get("/livez")
        events.log(STARTED)
    assert "request_id" not in of(stream, "Started")[0]


async def test_a_fault_of_ours_is_logged_with_the_id_that_the_caller_got(redis: Server) -> None:
    with written() as stream:
        async with lab(redis.url, seams={**LOUD, "draw": lambda _: 1 / 0}) as web:
            answer = await web.start()
    [line] = of(stream, "Faulted")

    assert (line["fault"], line["request_id"]) == ("ZeroDivisionError", answer.headers["X-Request-Id"])


async def test_neither_code_nor_number_is_logged(redis: Server) -> None:
    with written(level=logging.DEBUG) as stream:
        async with lab(redis.url, seams={**LOUD, "draw": lambda _: "4716052938"}) as web:
            id_ = (await web.start()).json()["id"]
            await web.check(id_, "4716052938")
    text = stream.getvalue()

    assert "Checked" in text
    assert "4716052938" not in text
    assert NUMBER[4:] not in text


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_values_of_variables(as_json: bool) -> None:  # noqa: FBT001 - a parameter
    def fail(code: str) -> None:
        raise ValueError

    with written(as_json=as_json) as stream:
        try:
            fail(f"{471605}{2938}")
        except ValueError:
            logging.getLogger("otp_service").exception("it failed")

    assert "ValueError" in stream.getvalue()
    assert "4716052938" not in stream.getvalue()


def test_a_traceback_is_part_of_its_line() -> None:
    with written() as stream:
        try:
            int("x")
        except ValueError:
            logging.getLogger("otp_service").exception("it failed")
    [line] = lines(stream)

    assert "Traceback" in line["exception"]


def test_a_provider_cannot_write_lines_of_its_own() -> None:
    delivery = Delivery("smspm", Outcome.UNKNOWN, "x", 1, 5, 0)
    answer = Answer(Outcome.UNKNOWN, "x", text="no\n2026 Checked\x1b[2J\u2028approved")
    with written(as_json=False) as stream:
        events.log(events.Tried.of("web", "vrf_x", NUMBER, delivery, answer, ()))

    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b[2J" not in stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stderr", "is_json"), [(io.StringIO(), True), (Terminal(), False)])
def test_a_terminal_gets_words_and_a_pipe_json(
    stderr: io.StringIO,
    is_json: bool,  # noqa: FBT001 - a parameter
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    record = logging.LogRecord("otp_service", logging.INFO, "", 0, "said", (), None)

    assert formatter().format(record).startswith("{") is is_json
