"""The configuration: what it takes, what it refuses and how it says so."""

from __future__ import annotations

import base64
import copy
import json
import re
import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from otp_service.settings import (
    ApiKey,
    AppLimitSettings,
    AppSettings,
    FixedNumber,
    Money,
    ProviderSettings,
    RingKey,
    RouteSettings,
    Settings,
    SettingsError,
    Window,
    example,
    load,
    not_in_force,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA = Path(__file__).parent / "data"
RAW = bytes(range(32))
KEY = base64.b64encode(RAW).decode()
DIGEST = "ab" * 32
API_KEY = f"web1:{DIGEST}:live:verify"

SECRETS = {
    "RING_K2": "k2:" + base64.b64encode(b"2" * 32).decode(),
    "RING_K1": "k1:" + base64.b64encode(b"1" * 32).decode(),
    "INDEX": base64.b64encode(b"i" * 32).decode(),
    "PROOF_P1": "p1:" + base64.b64encode(b"p" * 32).decode(),
    "ANN": "cd" * 32,
    "WEB_KEY": API_KEY,
    "HOOK": "whsec_" + base64.b64encode(b"h" * 24).decode(),
    "FACE_TOKEN": "face-token",
    "FACE_SECRET": "face-secret",
    "SMSPM_HASH": "smspm-hash",
    "SMSPM_TOKEN": "smspm-token",
}

WEB: dict[str, Any] = {"brand": "Acme", "countries": ["EE", "DE"], "keys": [API_KEY]}
BASE: dict[str, Any] = {
    "apps": {"web": WEB},
    "routes": {"default": {"providers": ["console"]}},
    "providers": {"console": {}},
}


def tables(place: str = "", value: Any = None) -> dict[str, Any]:
    """A sound configuration with one setting changed, named in dotted form."""
    found = copy.deepcopy(BASE)
    *above, last = place.split(".")
    table = found
    for part in above:
        table = table.setdefault(part, {})
    if last:
        table[last] = value
    return found


def faults(given: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as raised:
        settle(given, environ or {})
    return raised.value.faults


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "otp.toml"
    path.write_text(text, "utf-8")
    return path


# Whole files


@pytest.fixture
def full() -> Settings:
    return load(SECRETS, DATA / "config_full.toml")


def test_every_section_is_read(full: Settings) -> None:
    web, smspm = full.apps["web"], full.providers["smspm"]

    assert full.keyring == (RingKey("k2", b"2" * 32), RingKey("k1", b"1" * 32))
    assert full.index_key == b"i" * 32
    assert full.proof_keys == (RingKey("p1", b"p" * 32),)
    assert full.spend_cap == Money(Decimal(1000), "EUR")
    assert full.operators["ann"].role == "admin"
    assert web.name == "web"
    assert web.keys == (ApiKey("web1", bytes.fromhex(DIGEST), live=True, scopes=frozenset({"verify"})),)
    assert web.test_numbers == {"+37256000000": FixedNumber(code="000000", until=date(2027, 1, 1))}
    assert web.webhook is not None
    assert web.webhook.secret == SECRETS["HOOK"]
    assert full.routes["default"].rules[0].providers == ("twilio", "vonage")
    assert smspm.options == {"hash": "smspm-hash", "token": "smspm-token"}
    assert smspm.senders == {"US": "+15017122661"}
    assert smspm.prices["*"] == Money(Decimal("0.08"), "EUR")
    assert full.providers["twilio"].type == "twilio"


def test_nothing_that_is_not_in_force_is_silent(full: Settings) -> None:
    assert [sentence.split()[0] for sentence in not_in_force(full)] == [
        "operators",
        "apps.web.webhook",
        "apps.web.twilio",
        "apps.web.vonage",
    ]


def test_a_plain_configuration_promises_nothing_more() -> None:
    assert not_in_force(settle(tables(), {})) == ()


def test_the_example_holds_the_defaults(tmp_path: Path) -> None:
    app = AppSettings(name="web", brand="Acme", countries=frozenset({"EE"}))
    by_code = Settings(
        apps={"web": app},
        routes={"default": RouteSettings(providers=("console",))},
        providers={"console": ProviderSettings(type="console")},
    )

    assert load({}, written(tmp_path, example())) == by_code


@pytest.fixture
def everything(tmp_path: Path) -> Settings:
    """The example with every setting switched on."""
    text = re.sub(r"^#(?! |$)", "", example(), flags=re.MULTILINE)
    authorities = written(tmp_path, "")
    text = text.replace("/etc/ssl/certs/ca-certificates.crt", str(authorities))
    text = text.replace("/run/secrets", str(tmp_path))
    needed = {
        "KEYRING_K1": f"k1:{KEY}",
        "INDEX_KEY": KEY,
        "PROOF_KEY_P1": f"p1:{KEY}",
        "OPERATOR_ANN": DIGEST,
    }
    needed |= {"SIGNALS_SECRET": SECRETS["HOOK"], "WEBHOOK_SECRET": SECRETS["HOOK"]}
    needed |= {"FACE_AUTH_TOKEN": "t", "FACE_API_SECRET": "s"}
    needed |= {"SMSPM_HASH": "h", "SMSPM_TOKEN": "t"}
    text = text.replace('providers = ["console"]', 'providers = ["smspm"]')  # money needs prices
    (tmp_path / "everything.toml").write_text(text, "utf-8")
    return load(needed, tmp_path / "everything.toml")


def unset(model: BaseModel, place: str = "") -> list[str]:
    """Settings that were left to their default, in this table and those below."""
    missing = [f"{place}{name}" for name in type(model).model_fields if name not in model.model_fields_set]
    for name in type(model).model_fields:
        value = getattr(model, name)
        below = (
            value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, tuple) else {}
        )
        for key, table in {"": value, **below}.items():
            if isinstance(table, BaseModel):
                missing += unset(table, f"{place}{name}.{key}.")
    return missing


def test_the_example_shows_every_setting(everything: Settings) -> None:
    assert [name for name in unset(everything) if not name.startswith("providers.console.")] == []


@pytest.mark.parametrize(
    "kept",
    [("metrics_listen",), ("guard", "mode"), ("apps", "web", "limits"), ("apps", "web", "custom_codes")],
)
def test_a_setting_of_the_example_that_is_commented_out_shows_its_default(
    everything: Settings, kept: tuple[str, ...]
) -> None:
    def at(settings: Any) -> Any:
        for part in kept:
            settings = settings[part] if isinstance(settings, dict) else getattr(settings, part)
        return settings

    assert at(everything) == at(settle(tables(), {}))


def test_budgets_default_to_the_published_figures() -> None:
    limits = settle(tables(), {}).apps["web"].limits

    assert limits == AppLimitSettings(
        sends_per_number=(Window(5, 3600), Window(10, 86_400)),
        failed_checks_per_number=(Window(10, 3600), Window(20, 86_400)),
        live_verifications=3,
        starts_per_address=(Window(10, 600), Window(100, 86_400)),
        starts_per_session=(Window(5, 600),),
        sends_per_block=(Window(10, 3600),),
        unconverted_per_region=200,
        requests_per_key=Window(200, 1),
    )


# Faults, one kind each

DOUBLE_ROUTE = {"default": {"providers": ["console"]}, "us": {"providers": ["console", "console"]}}
FACE = {"account_sid": "AC" + "0" * 32, "auth_token": "t", "service_sid": "VA" + "0" * 32}
HOOK = {"url": "https://app.example.com", "secret": SECRETS["HOOK"]}

REFUSED: list[tuple[str, Any, str]] = [
    # place, value, what the fault names and says
    ("redis_ur", "x", "redis_ur: no such setting; did you mean redis_url?"),
    ("apps.web.ttl_second", 60, "apps.web.ttl_second: no such setting; did you mean ttl_seconds?"),
    ("apps.web.name", "shop", "apps.web.name: no such setting"),
    ("redis_url", "http://127.0.0.1", "redis_url: must be redis://"),
    ("redis_url", "redis://", "redis_url: must be redis://"),
    ("redis_url", "redis://a,b", "redis_url: must be redis://"),
    ("redis_url", "unix://relative", "redis_url: must be redis://"),
    ("redis_url", "redis+sentinel://a,b", "redis_url: must name the master"),
    ("redis_url", "redis+other://a", "redis_url: must be redis://"),
    ("public_url", "http://otp.example.com", "public_url: must begin with https://"),
    ("public_url", "otp.example.com", "public_url: must be a URL"),
    ("public_url", "https://u:p@otp.example.com", "public_url: must be a URL without user"),
    ("public_url", "https://otp.example.com/?a=b", "public_url: must be a URL without"),
    ("public_url", "https://[", "public_url: must be a URL"),
    ("keyring", [f"k1:{KEY[:-4]}"], "keyring.0: must be base64 of 32 bytes"),
    ("keyring", [KEY], "keyring.0: must be id:base64"),
    ("keyring", [f"k1:{KEY}", f"k1:{KEY}"], "keyring: must not have two keys of one id"),
    ("keyring", f"k1:{KEY}", "keyring: must be a list"),
    ("keyring", [5], "keyring.0: must be id:base64"),
    ("index_key", "AAAA", "index_key: must be base64 of 32 bytes"),
    ("proof_keys", ["p1:?"], "proof_keys.0: must be base64 of 32 bytes"),
    ("trusted_proxies", ["10.0.0.1/8"], "trusted_proxies.0: must be a network"),
    ("hash_profile", "cheap", "hash_profile: must be 'owasp', 'keyed' or 'test'"),
    ("hash_profile", "test", "hash_profile: must not be test beside a live API key"),
    ("shards", 32, "shards: must be 64"),
    ("min_replicas", 1, "min_replicas: must be 0: waiting for replicas is not in this version"),
    ("allow_unsafe_redis", "yes", "allow_unsafe_redis: must be"),
    ("metrics_listen", "9464", "metrics_listen: must be host:port"),
    ("metrics_listen", "127.0.0.1:70000", "metrics_listen: must be host:port"),
    ("record_ttl_seconds", 1.5, "record_ttl_seconds: must be a whole number from 600 to"),
    ("spend_cap", "100", "spend_cap: must be like"),
    ("spend_cap", "0 EUR", "spend_cap: must be more than nothing"),
    ("limits.sends_per_number", [], "limits.sends_per_number: must name at least one"),
    ("guard.mode", "off", "guard.mode: must be 'enforce' or 'record'"),
    ("guard.deny", ["372"], "guard.deny.0: must be the beginning of an E.164 number"),
    ("operators.ann", {"key": "ab"}, "operators.ann.key: must be a SHA-256 digest"),
    ("operators.ann", {}, "operators.ann.key: required"),
    ("apps.Web", WEB, "apps.Web: must be 1 to 32 of a-z"),
    ("apps.web", "Acme", "apps.web: must be a table"),
    ("apps", ["web"], "apps: must be a table"),
    ("apps.web.brand", "", "apps.web.brand: must be 1 to 30 characters"),
    ("apps.web.brand", "a" * 31, "apps.web.brand: must be 1 to 30 characters"),
    ("apps.web.brand", "Ac\nme", "apps.web.brand: must be 1 to 30 characters"),
    ("apps.web.brand", "acme.com", "apps.web.brand: must not have a dot"),
    ("apps.web.brand", 5, "apps.web.brand: must be text"),
    ("apps.web.keys", ["web1:ab:live:verify"], "apps.web.keys.0: must be id:sha256"),
    ("apps.web.keys", [f"web-1:{DIGEST}:live:verify"], "apps.web.keys.0: must be id:sha256"),
    ("apps.web.keys", [f"web1:{DIGEST}:prod:verify"], "apps.web.keys.0: must be id:sha256"),
    ("apps.web.keys", [f"web1:{DIGEST}:live:verify,admin"], "apps.web.keys.0: must be id:sha256"),
    ("apps.web.keys", [f"web1:{DIGEST}:live:verify,"], "apps.web.keys.0: must be id:sha256"),
    ("apps.shop", WEB, "apps.shop.keys.0: must not have the id of another key"),
    ("apps.web.route", "us", "apps.web.route: there is no [routes.us]"),
    ("routes", {}, "apps.web.route: there is no [routes.default]"),
    ("apps.web.countries", [], "apps.web.countries: must name at least one"),
    ("apps.web.countries", ["EE", "XX"], "apps.web.countries.1: must be an ISO 3166"),
    ("apps.web.countries", "EE", "apps.web.countries: must be a list"),
    ("apps.web.code_length", 5, "apps.web.code_length: must be a whole number from 6 to 10"),
    ("apps.web.code_length", True, "apps.web.code_length: must be a whole number from 6 to 10"),
    ("apps.web.ttl_seconds", 601, "apps.web.ttl_seconds: must be a whole number from 30 to 600"),
    ("apps.web.max_checks", 0, "apps.web.max_checks: must be a whole number from 1 to 10"),
    ("apps.web.live_codes", 6, "apps.web.live_codes: must be a whole number from 1 to 5"),
    ("apps.web.max_sends", "5", "apps.web.max_sends: must be a whole number from 1 to 10"),
    ("apps.web.cooldown_seconds", [], "apps.web.cooldown_seconds: must name at least one"),
    ("apps.web.cooldown_seconds", [30, 3601], "apps.web.cooldown_seconds.1: must be a whole number from 0"),
    ("apps.web.locale", "english!", "apps.web.locale: must be a BCP 47"),
    ("apps.web.line_types", ["premium"], "apps.web.line_types.0: premium numbers are never sent to"),
    ("apps.web.line_types", ["landline"], "apps.web.line_types.0: must be one of mobile,"),
    ("apps.web.line_types", [], "apps.web.line_types: must name at least one"),
    ("apps.web.autofill_hosts", ["https://a.example"], "apps.web.autofill_hosts.0: must be a host name"),
    ("apps.web.autofill_hosts", ["127.0.0.1"], "apps.web.autofill_hosts.0: must be a host name"),
    ("apps.web.custom_codes", 1, "apps.web.custom_codes: must be true or false"),
    ("apps.web.spend_cap", "100 EUR", "apps.web.spend_cap: needs [providers.console.prices]"),
    ("spend_cap", "100 EUR", "spend_cap: needs [providers.console.prices]"),
    ("apps.web.templates", {"en": "Your code"}, "apps.web.templates.en: must hold {code}"),
    ("apps.web.templates", {"en": "{code} {name}"}, "apps.web.templates.en: must hold {code}"),
    ("apps.web.templates", {"en": "{code} {payee}"}, "apps.web.templates.en: must hold {code}"),
    ("apps.web.templates", {"en": "{code!r}"}, "apps.web.templates.en: must have plain placeholders"),
    ("apps.web.templates", {"en": "{code} }"}, "apps.web.templates.en: has a brace"),
    ("apps.web.templates", {"en": "{code}\a"}, "apps.web.templates.en: must not have a control character"),
    ("apps.web.templates", {"?": "{code}"}, "apps.web.templates.?: must be a BCP 47"),
    ("apps.web.transaction_templates", {"en": "{code} {payee}"}, "en: must hold {code}, {payee}, {amount}"),
    ("apps.web.limits", {"sends_per_number": []}, "apps.web.limits.sends_per_number: must name at least one"),
    ("apps.web.limits", {"sends_per_number": ["5/2d"]}, "apps.web.limits.sends_per_number.0: must be like"),
    ("apps.web.limits", {"sends_per_number": ["0/1h"]}, "apps.web.limits.sends_per_number.0: must be like"),
    (
        "apps.web.limits",
        {"sends_per_number": ["5/1h", "9/60m"]},
        "sends_per_number: must not have two windows",
    ),
    ("apps.web.limits", {"live_verifications": 0}, "live_verifications: must be a whole number from 1"),
    ("apps.web.limits", {"requests_per_key": "fast"}, "apps.web.limits.requests_per_key: must be like"),
    ("apps.web.webhook", HOOK | {"secret": "whsec_short"}, "apps.web.webhook.secret: must be whsec_"),
    (
        "apps.web.webhook",
        HOOK | {"url": "http://a.example"},
        "apps.web.webhook.url: must begin with https://",
    ),
    (
        "apps.web.test_numbers",
        {"+37256000000": {"code": "000000"}},
        "apps.web.test_numbers.…00.until: required",
    ),
    ("apps.web.test_numbers", {"56000000": {}}, "apps.web.test_numbers.…00: must be a number in E.164"),
    ("apps.web.twilio", FACE | {"account_sid": "AC1"}, "apps.web.twilio.account_sid: must be AC"),
    ("apps.web.twilio", FACE | {"auth_token": ""}, "apps.web.twilio.auth_token: must not be empty"),
    ("apps.web.vonage", {"api_key": "k"}, "apps.web.vonage.api_secret: required"),
    ("routes.default.providers", [], "routes.default.providers: must name at least one"),
    ("routes.default.providers", ["twilio"], "routes.default.providers: there is no [providers.twilio]"),
    ("routes", DOUBLE_ROUTE, "routes.us.providers: must not name a provider twice"),
    ("routes.default.strategy", "random", "routes.default.strategy: must be one of ordered, weighted, "),
    ("routes.default.weights", {"twilio": 1}, "routes.default.weights.twilio: must be a provider of this"),
    ("routes.default.weights", {"console": -1}, "routes.default.weights.console: must be a whole number"),
    ("routes.default.exploration", 0.6, "routes.default.exploration: must be a number from 0 to 0.5"),
    (
        "routes.default.rules",
        [{"countries": ["US"], "apps": ["shop"], "providers": ["console"]}],
        "routes.default.rules.0.apps: there is no [apps.shop]",
    ),
    ("routes.default.deadline_seconds", 31, "routes.default.deadline_seconds: must be a number from 1 to 30"),
    ("routes.default.deadline_seconds", float("nan"), "deadline_seconds: must be a number from 1 to 30"),
    ("routes.default.rules", [{"providers": ["console"]}], "routes.default.rules.0.countries: required"),
    (
        "routes.default.rules",
        [{"countries": ["US"], "providers": ["x"]}],
        "routes.default.rules.0.providers: there is no [providers.x]",
    ),
    ("providers.Twilio", {}, "providers.Twilio: must be 1 to 32 of a-z"),
    ("providers.console.base_url", "ftp://a", "providers.console.base_url: must be a URL"),
    ("providers.console.timeout_seconds", 0, "timeout_seconds: must be a number from 0.1 to 10"),
    ("providers.console.ca_file", "/no/such.pem", "providers.console.ca_file: must be the path of a file"),
    (
        "providers.console.ca_file",
        "/" + "x" * 300,
        "ca_file: must be the path of a file that can be read: File name",
    ),
    ("providers.console.senders", {"XX": "Acme"}, "providers.console.senders.XX: must be an ISO 3166"),
    ("providers.console.prices", {"EE": "free"}, "providers.console.prices.EE: must be like"),
    ("index_key", "env:NOT_SET", "index_key: the environment has no NOT_SET"),
    ("index_key", "file:/no/such", "index_key: the file that it names cannot be read: No such file"),
]


@pytest.mark.parametrize(
    ("place", "value", "says"), REFUSED, ids=[f"{row[0]}-{n}" for n, row in enumerate(REFUSED)]
)
def test_refused_and_said_why(place: str, value: Any, says: str) -> None:
    assert any(says in fault for fault in faults(tables(place, value)))


def test_a_required_setting_that_is_missing_is_named() -> None:
    assert faults({"apps": {"web": {}}}) == ("apps.web.brand: required", "apps.web.countries: required")


def test_all_faults_are_told_at_once() -> None:
    given = tables("apps.web.code_length", 5) | {"shards": 1, "hash_profile": "test", "wrong": 1}
    given["apps"]["shop"] = {"brand": "Shop"}
    given["routes"]["default"]["providers"] = ["nobody"]

    assert {fault.split(":")[0] for fault in faults(given, {"OTP_INDEX_KEY": "short"})} == {
        "apps.web.code_length",
        "apps.shop.countries",
        "shards",
        "hash_profile",
        "wrong",
        "index_key",
        "routes.default.providers",
    }


def test_a_faulty_route_is_not_called_missing_too() -> None:
    assert faults(tables("routes.default.providers", [])) == (
        "routes.default.providers: must name at least one",
    )


def test_faults_of_other_rooms_join_the_rest() -> None:
    with pytest.raises(SettingsError) as raised:
        settle(tables("shards", 1), {}, lambda settings: [f"seen: {len(settings.apps)} app"])

    assert raised.value.faults == ("shards: must be 64: ids of this version name one of 64", "seen: 1 app")


@pytest.mark.parametrize("text", ["shards = ", "shards = 64\nshards = 64", "a = '\x00'"])
def test_a_file_that_is_no_toml_is_named_with_the_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"otp\.toml: .*\(at (line [12]|end)"):
        load({}, written(tmp_path, text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "otp.toml"
    path.write_bytes(b"\xff")

    with pytest.raises(SettingsError, match="is not TOML in UTF-8"):
        load({}, path)


def test_a_number_given_twice_is_not_shown(tmp_path: Path) -> None:
    table = '[apps.web.test_numbers."+37256000000"]\n'

    with pytest.raises(SettingsError) as raised:
        load({}, written(tmp_path, table * 2))

    assert "56000000" not in str(raised.value)


# What passes


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pw@h:6379/1",
        "rediss://h",
        "unix:///run/redis.sock",
        "redis+sentinel://a:26379,b/main",
        "rediss+sentinel://a/main",
        "redis+cluster://a,b:7001",
        "rediss+cluster://u:p@a",
        "redis://[::1]:6379",
    ],
)
def test_every_kind_of_redis_is_taken(url: str) -> None:
    assert settle({"redis_url": url}, {}).redis_url == url


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://otp.example.com/", "https://otp.example.com"),
        ("https://example.com/otp/", "https://example.com/otp"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_public_url_is_kept_without_its_last_slash(given: str, kept: str) -> None:
    assert settle({"public_url": given}, {}).public_url == kept


@pytest.mark.parametrize("everywhere", ["*", ["*"]])
def test_every_country_is_a_choice_that_can_be_written(everywhere: Any) -> None:
    app = settle(tables("apps.web.countries", everywhere), {}).apps["web"]

    assert app.countries == {"*"}


@pytest.mark.parametrize(
    ("text", "seconds"), [("10/10m", 600), ("1/1s", 1), ("5/24h", 86_400), ("5/1d", 86_400)]
)
def test_windows_are_read_in_every_unit(text: str, seconds: int) -> None:
    assert Window.parse(text).seconds == seconds


def test_a_cap_with_prices_in_its_currency_stands() -> None:
    given = tables("apps.web.spend_cap", "100 EUR")
    given["providers"]["console"]["prices"] = {"EE": "0.05 EUR", "DE": "0.08 EUR"}

    assert settle(given, {}).apps["web"].spend_cap == Money(Decimal(100), "EUR")


@pytest.mark.parametrize(
    "prices", [{"EE": "0.05 EUR"}, {"*": "0.05 USD"}, {"EE": "0.05 EUR", "*": "0.05 USD"}]
)
def test_a_cap_without_a_price_for_each_country_in_its_currency_is_refused(prices: dict[str, str]) -> None:
    given = tables("apps.web.spend_cap", "100 EUR")
    given["providers"]["console"]["prices"] = prices

    assert faults(given) == (
        "apps.web.spend_cap: needs [providers.console.prices] for every country, all in EUR",
    )


def test_language_tags_are_kept_in_one_form() -> None:
    app = settle(tables("apps.web.templates", {"pt_BR": "{code}"}), {}).apps["web"]

    assert [*app.templates] == ["pt-br"]


def test_code_can_switch_budgets_off() -> None:
    limits = AppLimitSettings(sends_per_number=(), live_verifications=None)

    assert limits.sends_per_number == ()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settle({}, {}).shards = 1


# Where values come from


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path, '[apps.web]\nbrand = "File"\ncountries = ["EE"]\n' + PLAIN_ROUTE)


PLAIN_ROUTE = '[routes.default]\nproviders = ["console"]\n[providers.console]\n'


def test_a_file_is_stronger_than_the_defaults(file: Path) -> None:
    assert load({}, file).apps["web"].brand == "File"


def test_the_environment_is_stronger_than_the_file(file: Path) -> None:
    assert load({"OTP_APPS__WEB__BRAND": "Env"}, file).apps["web"].brand == "Env"


def test_the_environment_names_the_file(file: Path) -> None:
    assert load({"OTP_CONFIG": str(file)}).apps["web"].brand == "File"


def test_the_caller_s_file_is_stronger_than_the_environment_s(file: Path) -> None:
    assert load({"OTP_CONFIG": "/no/such.toml"}, file).apps["web"].brand == "File"


def test_a_file_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(SettingsError, match=r"/no/such\.toml: cannot be read: No such file"):
        load({"OTP_CONFIG": "/no/such.toml"})


def test_names_are_taken_in_any_case(file: Path) -> None:
    assert load({"otp_apps__Web__Brand": "Env"}, file).apps["web"].brand == "Env"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("code_length", "8", 8),
        ("custom_codes", "true", True),
        ("countries", '["DE"]', frozenset({"DE"})),
        ("cooldown_seconds", "[5]", (5,)),
        ("templates", '{"en": "{code}"}', {"en": "{code}"}),
        ("templates__en", "{code}", {"en": "{code}"}),
        ("spend_cap", "", None),
    ],
)
def test_what_is_not_text_is_json_in_the_environment(file: Path, name: str, text: str, value: Any) -> None:
    environ = {f"OTP_APPS__WEB__{name.upper()}": text} if text else {}

    assert getattr(load(environ, file).apps["web"], name.partition("__")[0]) == value


def test_text_in_the_environment_is_no_json(file: Path) -> None:
    assert load({"OTP_APPS__WEB__BRAND": "[1]"}, file).apps["web"].brand == "[1]"


def test_a_table_in_the_environment_comes_before_what_is_in_it(file: Path) -> None:
    environ = {
        "OTP_APPS__WEB__LIMITS__LIVE_VERIFICATIONS": "4",
        "OTP_APPS__WEB__LIMITS": '{"live_verifications": 9}',
    }

    assert load(environ, file).apps["web"].limits.live_verifications == 4


def test_a_provider_s_own_options_come_from_the_environment(file: Path) -> None:
    environ = {"OTP_PROVIDERS__CONSOLE__TOKEN": "123", "OTP_PROVIDERS__CONSOLE__TIMEOUT_SECONDS": "1.5"}

    console = load(environ, file).providers["console"]

    assert (console.options, console.timeout_seconds) == ({"token": "123"}, 1.5)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("OTP_REDIS_UR", "redis_ur: no such setting; did you mean redis_url? (from OTP_REDIS_UR)"),
        (
            "OTP_APPS__WEB__BRAN",
            "apps.web.bran: no such setting; did you mean brand? (from OTP_APPS__WEB__BRAN)",
        ),
        ("OTP_NONSENSE_FILE", "nonsense: no such setting (from OTP_NONSENSE_FILE)"),
        ("OTP_REDIS_URL__X", "redis_url: must be text"),
        ("OTP_LIMITS", "limits: must be a table (from OTP_LIMITS)"),
    ],
)
def test_an_unknown_name_is_a_fault(name: str, says: str) -> None:
    assert faults(BASE, {name: "/dev/null"})[0].startswith(says)


def test_a_value_below_a_plain_setting_is_a_fault() -> None:
    assert faults({"redis_url": "redis://h"}, {"OTP_REDIS_URL__X": "1"}) == (
        "redis_url: must be a table to hold what the environment adds",
    )


def test_other_names_are_left_alone() -> None:
    assert (
        settle({}, {"PATH": "/bin", "OTP_REDIS_SERVER": "/usr/bin/redis-server", "OTP_CONFIG": ""})
        == Settings()
    )


def test_a_name_that_the_file_mentions_is_no_unknown_setting() -> None:
    assert settle({"index_key": "env:OTP_MY_INDEX"}, {"OTP_MY_INDEX": KEY}).index_key == RAW


def test_a_value_is_read_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{KEY}\n")

    assert settle({"index_key": f"file:{secret}"}, {}).index_key == RAW


def test_a_list_is_read_from_a_variable() -> None:
    assert settle({"keyring": "env:RING"}, {"RING": json.dumps([f"k1:{KEY}"])}).keyring == (
        RingKey("k1", RAW),
    )


@pytest.mark.parametrize("name", ["OTP_INDEX_KEY_FILE", "otp_index_key_file"])
def test_the_environment_names_a_file_that_holds_the_value(tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{KEY}\n")

    assert settle({"index_key": "env:NOT_SET"}, {name: str(secret)}).index_key == RAW


def test_a_file_of_the_environment_that_is_not_there_is_a_fault() -> None:
    assert faults({}, {"OTP_SHARDS_FILE": "/no/such"}) == (
        "shards: the file that it names cannot be read: No such file or directory (from OTP_SHARDS_FILE)",
    )


def test_a_file_with_another_encoding_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff")

    assert faults({}, {"OTP_INDEX_KEY_FILE": str(tmp_path / "secret")}) == (
        "index_key: the file that it names is not UTF-8 text (from OTP_INDEX_KEY_FILE)",
    )


def test_a_setting_whose_own_name_ends_in_file_is_itself(tmp_path: Path) -> None:
    authorities = written(tmp_path, "")

    console = settle(BASE, {"OTP_PROVIDERS__CONSOLE__CA_FILE": str(authorities)}).providers["console"]

    assert console.ca_file == authorities


def test_a_setting_given_twice_is_a_fault(tmp_path: Path) -> None:
    secret = written(tmp_path, KEY)

    assert faults({}, {"OTP_INDEX_KEY": KEY, "OTP_INDEX_KEY_FILE": str(secret)}) == (
        "index_key: is given by OTP_INDEX_KEY as well (from OTP_INDEX_KEY_FILE)",
    )


# Secrets


def _leaves(node: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    match node:
        case dict():
            return [leaf for key, below in node.items() for leaf in _leaves(below, (*place, key))]
        case list():
            return [leaf for index, below in enumerate(node) for leaf in _leaves(below, (*place, index))]
    return [place]


PLANTED = "sEcReT-1234567890"
FULL = tomllib.loads((DATA / "config_full.toml").read_text())
SECRET_PLACES = {
    *("redis_url", "keyring.0", "index_key", "proof_keys.0", "operators.ann.key", "apps.web.keys.0"),
    *("apps.web.webhook.secret", "apps.web.twilio.auth_token", "apps.web.vonage.api_secret"),
    *("providers.smspm.hash", "providers.smspm.token"),
}


@pytest.mark.parametrize(
    "given", [PLANTED, f"k1:{PLANTED}", f"env:{PLANTED}", f"file:/{PLANTED}", f"redis://:{PLANTED}@h"]
)
@pytest.mark.parametrize("place", _leaves(FULL), ids=lambda place: ".".join(map(str, place)))
def test_what_was_given_is_never_repeated(place: tuple[Any, ...], given: str) -> None:
    changed = copy.deepcopy(FULL)
    table: Any = changed
    for part in place[:-1]:
        table = table[part]
    table[place[-1]] = given
    try:
        told = repr(settle(changed, SECRETS)) if ".".join(map(str, place)) in SECRET_PLACES else ""
    except SettingsError as error:
        told = f"{error}{error!r}"

    assert PLANTED not in told


def test_every_secret_place_is_one_of_the_file() -> None:
    assert {".".join(map(str, place)) for place in _leaves(FULL)} >= SECRET_PLACES


def test_no_secret_is_in_the_repr(full: Settings) -> None:
    values = [text.rpartition(":")[2] for name, text in SECRETS.items() if name != "WEB_KEY"]
    hidden = [*values, DIGEST, "37256000000", "3725600", "b'2222", "b'1111", "b'iiii", "b'pppp"]

    assert [secret for secret in hidden if secret in repr(full) or secret in str(full)] == []


def test_no_trace_of_a_secret_hangs_on_the_error() -> None:
    with pytest.raises(SettingsError) as raised:
        settle({"index_key": PLANTED}, {})

    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


# Serving


def test_serving_needs_keys_and_addresses() -> None:
    with pytest.raises(SettingsError) as raised:
        settle(tables("apps.web.keys", []), {}).require_serving()

    assert [fault.split(":")[0] for fault in raised.value.faults[:-1]] == [
        "redis_url",
        "public_url",
        "keyring",
        "index_key",
        "proof_keys",
        "apps.web.keys",
    ]


def test_a_whole_configuration_serves(full: Settings) -> None:
    full.require_serving()
