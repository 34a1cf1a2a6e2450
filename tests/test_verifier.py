"""What a check sets going beside its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otp_service.guard.subjects import Send
from otp_service.phone import parse
from otp_service.store.keys import Events
from otp_service.verification import VerificationId
from tests.lab import NUMBER, Lab, other_code

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENT = {"ip": "203.0.113.9", "session": "a session"}


def noted(owner: Any, name: str) -> list[tuple[Any, ...]]:
    """What a method is called with; nothing else happens."""
    calls: list[tuple[Any, ...]] = []
    setattr(owner, name, lambda *arguments, **named: calls.append((*arguments, *named.values())))
    return calls


@pytest.mark.parametrize(
    ("guess", "failed"), [(other_code, [("web",)]), (str, [])], ids=["a wrong code", "the right one"]
)
async def test_a_wrong_check_is_noted_for_the_alarm(
    live: Lab, guess: Callable[[str], str], failed: list[tuple[str]]
) -> None:
    calls = noted(live.service.watch, "failed")
    id_ = (await live.start()).json()["id"]
    await live.check(id_, guess(live.code()))
    assert calls == failed


async def test_what_test_keys_guess_raises_no_alarm(web: Lab) -> None:
    calls = noted(web.service.watch, "failed")
    await web.check((await web.start()).json()["id"], other_code(web.code()))
    assert calls == []


async def test_an_approval_gives_back_what_the_start_was_counted_under(live: Lab) -> None:
    calls = noted(live.service.guard, "approved")
    started = (await live.start(client=CLIENT)).json()
    id_ = VerificationId.parse(started["id"])
    assert id_
    app, registry = live.service.settings.apps["web"], live.service.verifier._registry
    await live.check(started["id"], live.code())
    [(send, short, began_ms)] = calls
    address = live.service.guard.subjects.address(app, CLIENT["ip"])
    assert send == Send(app, parse(NUMBER), registry.number(NUMBER), address=address)
    assert short == Events("web", id_).short
    assert abs(began_ms - live.service.scripts.now_ms) < 60_000


async def test_an_approval_of_a_test_key_gives_nothing_back(web: Lab) -> None:
    calls = noted(web.service.guard, "approved")
    await web.check((await web.start()).json()["id"], web.code())
    assert calls == []


async def test_a_code_that_came_back_is_credited_by_how_many_are_newer(live: Lab) -> None:
    calls = noted(live.service.verifier._courier, "came_back")
    for index in (0, 1):
        started = await live.start(f"+3725678904{index}")
        live.pass_time(30)
        await live.resend(started.json()["id"])
        await live.check(started.json()["id"], live.code(2 * index + index))
    assert [newer for _, _, newer in calls] == [1, 0]


async def test_the_codes_of_a_key_that_is_gone_are_503_and_cost_nothing(live: Lab) -> None:
    id_ = (await live.start()).json()["id"]
    keyring = live.service.keyring
    keyring._code_keys = {"k9": keyring._code_keys["k1"]}
    answer = await live.check(id_, live.code())
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert (await live.fetch(id_)).json()["checks_left"] == 5
