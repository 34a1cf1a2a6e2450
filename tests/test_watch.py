"""Alarms over many verifications: failed checks of an app, countries of one client; they refuse nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otp_service import events
from otp_service.settings import SettingsError, settle
from otp_service.store.checks import LEAST
from tests.lab import NUMBER, Lab, lab, other_code

if TYPE_CHECKING:
    from tests.servers import Server

pytestmark = pytest.mark.every_server

HOUR = 3600
EIGHT: dict[str, Any] = {"apps": {"web": {"code_length_under_attack": 8}}}
NUMBERS = {"EE": NUMBER, "US": "+12025550123", "DE": "+4915112345678", "GB": "+447400123456"}


def alarms(live: Lab, kind: type[events.Event] = events.ChecksFailing) -> list[Any]:
    return [event for event in live.told if isinstance(event, kind)]


async def fail(live: Lab, count: int) -> None:
    """So many failed checks, as this process counts them, and a look."""
    for _ in range(count):
        live.service.watch.failed("web")
    await live.service.watch.look()


async def code_length(live: Lab) -> int:
    assert (await live.start()).status_code == 201
    return len(live.code())


# --- failed checks over all of an app


async def test_a_failed_check_is_counted_and_a_right_one_is_not(live: Lab) -> None:
    id_ = (await live.start()).json()["id"]
    await live.check(id_, other_code(live.code()))
    await live.check(id_, live.code())
    await live.service.watch.look()
    await fail(live, LEAST - 2)
    assert alarms(live) == []
    await fail(live, 1)
    assert [(alarm.app, alarm.failed, alarm.usual) for alarm in alarms(live)] == [("web", LEAST, 0)]


async def test_what_test_keys_try_is_no_attack(web: Lab) -> None:
    id_ = (await web.start()).json()["id"]
    await web.check(id_, other_code(web.code()))
    assert web.service.watch._failed == {}


async def test_the_alarm_is_told_once_by_one_process(live: Lab, redis: Server) -> None:
    async with lab(redis.url, key="live1") as other:
        for _ in range(4):
            await fail(live, LEAST)
            await fail(other, LEAST)
        assert len(alarms(live) + alarms(other)) == 1


async def test_what_is_usual_is_no_alarm(live: Lab) -> None:
    for _ in range(48):
        await fail(live, LEAST // 2 - 1)
        live.pass_time(HOUR // 2)
    await fail(live, 4 * LEAST - LEAST // 2)
    assert alarms(live) == []
    await fail(live, 2 * LEAST)
    assert len(alarms(live)) == 1


async def test_a_day_later_there_is_another(live: Lab) -> None:
    await fail(live, LEAST)
    live.pass_time(60 * HOUR)
    await fail(live, LEAST)
    assert len(alarms(live)) == 2


async def test_only_counts_of_a_day_are_kept(live: Lab, redis: Server) -> None:
    for _ in range(60):
        await fail(live, 1)
        live.pass_time(HOUR // 2)
    assert redis.run("HLEN", "otp:{checks:web}") <= 51


@pytest.mark.parametrize("changes", [EIGHT])
async def test_codes_are_longer_while_it_lasts_where_the_app_wants_that(live: Lab) -> None:
    assert await code_length(live) == 6
    await fail(live, LEAST)
    assert await code_length(live) == 8
    live.pass_time(HOUR + 60)
    await live.service.watch.look()
    assert await code_length(live) == 6


@pytest.mark.parametrize("changes", [EIGHT])
async def test_a_process_where_no_check_failed_hears_of_it(live: Lab, redis: Server) -> None:
    await fail(live, LEAST)
    async with lab(redis.url, key="live1", **EIGHT) as other:
        assert await code_length(other) == 8
        assert alarms(other) == []


@pytest.mark.parametrize("changes", [EIGHT])
async def test_a_verification_keeps_the_length_that_it_began_with(live: Lab) -> None:
    id_ = (await live.start()).json()["id"]
    await fail(live, LEAST)
    live.pass_time(60)
    await live.resend(id_)
    assert (await live.check(id_, live.code())).json()["approved"] is True


async def test_other_apps_keep_their_six_digits(live: Lab) -> None:
    await fail(live, LEAST)
    assert len(alarms(live)) == 1
    assert await code_length(live) == 6


@pytest.mark.parametrize("length", [5, 6, 11])
def test_under_attack_a_code_has_more_digits_and_ten_at_most(length: int, ground: Any) -> None:
    app = {"brand": "Acme", "countries": ["EE"], "code_length_under_attack": length}
    with pytest.raises(SettingsError, match="code_length_under_attack: must be"):
        settle({"apps": {"web": app}}, {})


# --- countries of one client


async def test_an_address_that_sends_to_more_than_three_countries_raises_an_alarm(redis: Server) -> None:
    client = {"ip": "203.0.113.9"}
    countries = [*NUMBERS, "FR"]
    async with lab(redis.url, key="live1", apps={"web": {"countries": countries}}) as live:
        for number in (NUMBERS["EE"], *NUMBERS.values()):
            assert alarms(live, events.AddressRoams) == []
            assert (await live.start(number, client=client)).status_code == 201
        assert [(alarm.countries, alarm.limit) for alarm in alarms(live, events.AddressRoams)] == [(4, 3)]
        await live.start(NUMBERS["GB"], client=client)
        assert len(alarms(live, events.AddressRoams)) == 1
        await live.start("+33612345678", client=client)
        assert alarms(live, events.AddressRoams)[-1].countries == 5


async def test_countries_of_another_day_do_not_count(live: Lab) -> None:
    for number in NUMBERS.values():
        assert (await live.start(number, client={"ip": "203.0.113.9"})).status_code == 201
        live.pass_time(9 * HOUR)
    assert alarms(live, events.AddressRoams) == []


async def test_alarms_are_counted_by_app_and_kind(live: Lab) -> None:
    await fail(live, LEAST)
    sample = live.service.metrics.registry.get_sample_value
    assert sample("otp_alarms_total", {"app": "web", "event": "ChecksFailing"}) == 1


async def test_a_lock_that_cannot_be_read_is_logged_and_stops_nothing(
    live: Lab, redis: Server, caplog: pytest.LogCaptureFixture
) -> None:
    redis.run("HSET", "otp:{locks}", "+372", "soon", "v", "7")
    await live.service.watch.look()
    assert "were not looked at" in caplog.text
    assert (await live.start()).status_code == 201
