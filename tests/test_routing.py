"""Routes: which rule is for a number, the order that each strategy makes of it, and what explains it."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from otp_service import provision
from otp_service.cli import app
from otp_service.delivery.circuit import IN_ROW
from otp_service.delivery.conversions import Conversions
from otp_service.delivery.provider import Answer, Outcome
from otp_service.delivery.routing import Router
from otp_service.explain import explain
from otp_service.phone import parse
from otp_service.service import Seams
from otp_service.settings import Money, RouteSettings, Settings, SettingsError, settle
from tests.faults_http import FaultServer
from tests.lab import NUMBER, Lab, lab, tables
from tests.routing_simulation import seeded
from tests.test_delivery import SMSPM_OK, smspm

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from tests.servers import Server

ABC = ("a", "b", "c")
ESTONIAN, FIXED, AMERICAN = "+37256789045", "+3726123456", "+12015550123"


def route(**more: Any) -> RouteSettings:
    return RouteSettings.model_validate({"providers": ABC, **more})


def router(random: Any = None, prices: Any = None) -> Router:
    return Router(Conversions(lambda: 0), prices or {}, random or seeded(1).randbytes)


def order(found: RouteSettings, to: str = ESTONIAN, app: str = "web", used: Any = ()) -> list[str]:
    return router().order(found, app, parse(to), used)


# Rules

RULES = (
    {"countries": ["US"], "providers": ("c",)},
    {"countries": "*", "apps": ["shop"], "providers": ("b", "c")},
    {"countries": ["EE"], "line_types": ["fixed"], "providers": ("b",)},
    {"countries": ["EE"], "line_types": ["fixed", "mobile"], "apps": ["web"], "providers": ("c", "a")},
)


@pytest.mark.parametrize(
    ("to", "app", "providers"),
    [
        (AMERICAN, "shop", ["c"]),
        (ESTONIAN, "shop", ["b", "c"]),
        (FIXED, "web", ["b"]),
        (ESTONIAN, "web", ["c", "a"]),
        (ESTONIAN, "other", ["a", "b", "c"]),
        ("+4915123456789", "web", ["a", "b", "c"]),
    ],
)
def test_the_first_rule_counts_that_is_for_country_line_type_and_app(
    to: str, app: str, providers: list[str]
) -> None:
    assert order(route(rules=RULES), to, app) == providers


@pytest.mark.parametrize("strategy", ["ordered", "weighted", "adaptive"])
def test_providers_used_before_come_last_whatever_the_strategy(strategy: str) -> None:
    orders = [order(route(strategy=strategy), used={"a", "b"}) for _ in range(50)]
    assert {each[0] for each in orders} == {"c"}


# Weighted


def test_weights_are_shares_of_first_tries() -> None:
    drawing, found = router(), route(strategy="weighted", weights={"a": 6, "b": 3})
    firsts = Counter(drawing.order(found, "web", parse(NUMBER))[0] for _ in range(10_000))
    assert [round(firsts[name] / 1000) for name in ABC] == [6, 3, 1]


def test_a_weight_of_nothing_comes_only_after_all_others() -> None:
    drawing, found = router(), route(strategy="weighted", weights={"a": 0})
    orders = {tuple(drawing.order(found, "web", parse(NUMBER))) for _ in range(200)}
    assert orders == {("b", "c", "a"), ("c", "b", "a")}


def test_a_draw_comes_from_the_seam_alone() -> None:
    found = route(strategy="weighted")
    first, second = (
        [drawing.order(found, "web", parse(NUMBER)) for _ in range(100)]
        for drawing in (router(seeded(7).randbytes), router(seeded(7).randbytes))
    )
    assert first == second


# Settings


def test_an_adaptive_route_needs_prices_in_one_currency() -> None:
    given = {
        "routes": {"default": {"providers": ["console", "other"], "strategy": "adaptive"}},
        "providers": {
            "console": {"prices": {"*": "0.01 EUR"}},
            "other": {"type": "console", "prices": {"*": "0.01 USD"}},
        },
        "apps": {},
    }
    with pytest.raises(SettingsError, match=r"routes.default.cost_weight: needs prices in one currency"):
        settle(given, {})


def test_a_price_is_that_of_the_country_or_of_all_others() -> None:
    prices = {"a": {"EE": Money(Decimal(1), "EUR"), "*": Money(Decimal(2), "EUR")}}
    asked = [router(prices=prices).price("a", region) for region in ("EE", "US")]
    assert asked == [Money(Decimal(1), "EUR"), Money(Decimal(2), "EUR")]


# In a service


async def test_a_service_draws_by_weight(redis: Server) -> None:
    async with FaultServer(reply=SMSPM_OK) as server:
        providers = {"a": smspm(server.url), "b": smspm(server.url)}
        chosen = {"default": {"providers": ["a", "b"], "strategy": "weighted", "weights": {"a": 0}}}
        async with lab(redis.url, key="live1", providers=providers, routes=chosen) as live:
            [delivery] = (await live.start()).json()["deliveries"]
            assert delivery["provider"] == "b"


# Explained

EXPLAINED: dict[str, Any] = {
    "providers": {
        "first": {
            "type": "console",
            "sender": "Acme",
            "prices": {"EE": "0.045 EUR"},
        },
        "second": {"type": "console"},
    },
    "routes": {
        "default": {
            "providers": ["second"],
            "rules": [{"countries": ["EE"], "line_types": ["mobile"], "providers": ["first", "second"]}],
        }
    },
}


def settings(redis: Server) -> Settings:
    return Settings.model_validate(tables(redis.url, **EXPLAINED))


async def test_an_explanation_names_rule_strategy_sender_price_conversion_and_breaker(redis: Server) -> None:
    assert (await explain(settings(redis), "web", NUMBER)).splitlines() == [
        "+372*****045 is a mobile number of EE",
        "app web, route default: rule 1 (countries EE; line types mobile); ordered",
        "1. first: from Acme, 0.045 EUR, no recent sends, breaker closed",
        "2. second: from the provider's own sender, no price, no recent sends, breaker closed",
    ]


async def test_an_explanation_tells_what_other_processes_learned(redis: Server) -> None:
    async with lab(redis.url, key="live1", **EXPLAINED) as live:
        await approved(live)
        live.pass_time(60)
        await live.service.learning.exchange()
        for _ in range(IN_ROW):
            turn = live.service.learning.breakers.turn("first", "EE")
            assert turn
            turn.heard(Answer(Outcome.UNAVAILABLE, "21408"))
        await live.service.learning.exchange()
        told = await explain(live.service.settings, "web", NUMBER, Seams(skew=lambda: live.moved[0]))
    assert "100% of 1.0 recent sends came back, LEFT OUT: breaker open for EE, a probe in 30 s" in told


async def approved(live: Lab) -> None:
    id_ = (await live.start()).json()["id"]
    code = live.service.providers["first"].inbox[-1].text[:6]  # type: ignore[attr-defined]
    assert (await live.check(id_, code)).json()["approved"]


async def test_an_explanation_sends_nothing_and_asks_for_no_probe(redis: Server) -> None:
    await explain(settings(redis), "web", NUMBER)
    names = {name.split(b":")[-1] for name in redis.names()}
    assert names <= {b"meta", b"{experience}"}


async def test_an_explanation_says_that_the_guard_would_refuse(redis: Server) -> None:
    assert "app web refuses it: country_not_allowed" in await explain(settings(redis), "web", "+33612345678")


async def test_an_explanation_of_no_app_names_those_there_are(redis: Server) -> None:
    with pytest.raises(SettingsError, match="--app: must be one of other, web"):
        await explain(settings(redis), None, NUMBER)


def explained(redis: Server, directory: Path, number: str) -> Result:
    """What ``otp-service routes explain`` says of a fresh configuration."""
    config = directory / "otp.toml"
    key = provision.api_key(live=True, scopes={"verify"})
    config.write_text(provision.configuration("web", "Acme", ["EE"], [key]), "utf-8")
    environ = {"OTP_REDIS_URL": redis.url, "OTP_ALLOW_UNSAFE_REDIS": "true"}
    return CliRunner().invoke(app, ["routes", "explain", number, "--config", str(config)], env=environ)


def test_the_command_prints_the_order(redis: Server, tmp_path: Path) -> None:
    result = explained(redis, tmp_path, NUMBER)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (
        0,
        "1. console: from the provider's own sender, no price, no recent sends, breaker closed",
    )


def test_the_command_names_what_is_wrong_with_a_number(redis: Server, tmp_path: Path) -> None:
    result = explained(redis, tmp_path, "+1")
    assert (result.exit_code, result.stderr) == (
        1,
        "No such number exists; check the digits and the country.\n",
    )
