"""One send: what is reserved for it, and what its answer says when not all could be written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otp_service.errors import StoreUnavailable
from otp_service.events import Started, Unrecorded
from otp_service.guard.subjects import Send
from otp_service.phone import parse
from tests.lab import NUMBER, Lab, bearer, other_code
from tests.test_guard import number

if TYPE_CHECKING:
    from otp_service.guard.reservation import Reservation

CLIENT = {"ip": "203.0.113.9", "session": "a session"}
PRICED: dict[str, Any] = {"providers": {"console": {"prices": {"*": "0.10 EUR", "EE": "0.05 EUR"}}}}


@pytest.fixture
def reserved(live: Lab) -> list[Send]:
    """What the guard is asked for."""
    asked: list[Send] = []
    reserve = live.service.guard.reserve

    async def noted(send: Send, lease_ms: int) -> Reservation:
        asked.append(send)
        return await reserve(send, lease_ms)

    live.service.guard.reserve = noted  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize("changes", [PRICED])
async def test_a_start_is_reserved_with_its_client_at_its_dearest(live: Lab, reserved: list[Send]) -> None:
    service = live.service
    app, subjects = service.settings.apps["web"], service.guard.subjects
    service.verifier._courier.preview = lambda *_: 2  # type: ignore[method-assign]
    await live.start(client=CLIENT)
    assert reserved == [
        Send(
            app,
            parse(NUMBER),
            service.verifier._registry.number(NUMBER),
            cost=100_000,
            address=subjects.address(app, CLIENT["ip"]),
            session=subjects.session(app, CLIENT["session"]),
            starts=True,
        )
    ]


async def test_another_send_is_reserved_without_a_client(live: Lab, reserved: list[Send]) -> None:
    id_ = (await live.start(client=CLIENT)).json()["id"]
    live.pass_time(30)
    await live.resend(id_)
    assert [(send.starts, bool(send.address), bool(send.session)) for send in reserved] == [
        (True, True, True),
        (False, False, False),
    ]


async def test_the_header_shows_the_ledger_of_which_least_is_left(live: Lab) -> None:
    where = {"ip": CLIENT["ip"]}
    answers = [await live.start(number(1000 * i, 3_000_000), client=where) for i in range(9)]
    assert answers[0].headers["RateLimit"].startswith('"live_verifications";r=2')
    assert answers[-1].headers["RateLimit"].startswith('"starts_per_address";r=1')


async def test_a_send_whose_reservation_could_not_be_settled_is_answered_as_sent(live: Lab) -> None:
    async def lost(*_: Any) -> None:
        raise StoreUnavailable("lost", retry_after=1)

    live.service.guard.settle = lost  # type: ignore[method-assign]
    answer = await live.start()
    assert answer.status_code == 201
    assert Unrecorded("web", answer.json()["id"]) in live.told


async def test_nothing_is_reserved_for_a_test_key(live: Lab, reserved: list[Send]) -> None:
    assert (await live.post("start", {"to": NUMBER}, headers=bearer("web1"))).status_code == 201
    assert reserved == []


async def test_an_answer_shows_what_happened_while_the_message_was_on_its_way(live: Lab) -> None:
    id_ = (await live.start()).json()["id"]
    live.pass_time(30)
    chain = live.service.verifier._courier._chain
    deliver = chain.deliver

    async def slowly(*arguments: Any, **options: Any) -> Any:
        await live.check(id_, other_code(live.code()))
        return await deliver(*arguments, **options)

    chain.deliver = slowly  # type: ignore[method-assign]
    assert (await live.resend(id_)).json()["checks_left"] == 4


async def test_a_start_is_told_with_what_is_known_of_its_client(live: Lab) -> None:
    for index, ip in enumerate(("203.0.113.9", "10.0.0.1", None)):
        await live.start(number(index), client={"ip": ip})
    told = [event.address for event in live.told if isinstance(event, Started)]
    assert told == ["counted", "private", ""]
