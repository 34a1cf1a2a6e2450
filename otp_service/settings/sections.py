"""The tables of a configuration: one class for each, one field for each setting.

Fields that hold a secret or a phone number stay out of the repr, which may reach a log.
"""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic reads the annotations
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from otp_service.settings.addresses import File, Hostname, HttpsUrl, HttpUrl  # noqa: TC001 - likewise
from otp_service.settings.readers import NOT_EMPTY, matching, number, whole
from otp_service.settings.texts import (  # noqa: TC001 - likewise
    Brand,
    Chain,
    Countries,
    LineTypes,
    Locale,
    Name,
    Number,
    Prefix,
    Region,
    RegionOrEverywhere,
    Secret,
    Strategy,
    Template,
    TransactionTemplate,
)
from otp_service.settings.values import ApiKeys, Budget, Cap, Digest, Price, Rate, WebhookSecret, Window


class Section(BaseModel):
    """A table: frozen, closed to unknown keys, and silent about what was given when it refuses."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LimitSettings(Section):
    """``[limits]``: budgets over all apps of the installation."""

    sends_per_number: Budget = (Window(10, 3600), Window(20, 86_400))
    """SMS bombing through several apps; an approval gives its send back."""
    requests_per_address: Rate = Window(200, 1)
    """Requests of one address without a valid key, at the edge of each process."""


class AppLimitSettings(Section):
    """``[apps.x.limits]``: the budgets of one app; only code can switch one off, by ``()`` or None."""

    sends_per_number: Budget = (Window(5, 3600), Window(10, 86_400))
    """Twilio Verify: 5 in 10 minutes; an approval gives its send back."""
    failed_checks_per_number: Budget = (Window(10, 3600), Window(20, 86_400))
    """NIST SP 800-63B-4, 3.2.2: at most 100 in a row."""
    live_verifications: Annotated[int, whole(1, 100)] | None = 3
    """Pending at once for one number; those of one client session count as one."""
    starts_per_address: Budget = (Window(10, 600), Window(100, 86_400))
    """Of the client; IPv6 by /64."""
    starts_per_session: Budget = (Window(5, 600),)
    sends_per_block: Budget = (Window(10, 3600),)
    """Not yet approved, to 1,000 neighbouring numbers."""
    unconverted_per_region: Annotated[int, whole(1, 1_000_000)] | None = 200
    """Sends less approvals in a day, or the day's approvals if those are more."""
    requests_per_key: Rate = Window(200, 1)
    """A coarse ceiling at the edge of each process."""


class SignalSettings(Section):
    """``[guard.signals]``: the operator's own endpoint, asked before a send (Standard Webhooks)."""

    url: HttpsUrl
    secret: WebhookSecret = Field(repr=False)
    timeout_ms: Annotated[int, whole(50, 2000)] = 500
    """Longest wait for its answer."""
    fail: Literal["open", "closed"] = "open"
    """Without an answer: ``open`` sends, ``closed`` does not."""


class GuardSettings(Section):
    """``[guard]``: the rules against pumping, and what is asked before a send."""

    mode: Literal["enforce", "record"] = "enforce"
    """``record`` answers as if allowed and reports what it would have done."""
    safe: tuple[Prefix, ...] = Field(default=(), repr=False)
    """Prefixes that always pass these rules."""
    deny: tuple[Prefix, ...] = Field(default=(), repr=False)
    """Prefixes that are never sent to."""
    signals: SignalSettings | None = None
    """For every app that has none of its own."""


class OperatorSettings(Section):
    """``[operators.x]``: one person at the console."""

    key: Digest = Field(repr=False)
    """SHA-256 of the operator's key."""
    role: Literal["admin", "read"] = "read"


class WebhookSettings(Section):
    """``[apps.x.webhook]``: where the app is told what happened (Standard Webhooks)."""

    url: HttpsUrl
    secret: WebhookSecret = Field(repr=False)


class FixedNumber(Section):
    """An entry of ``[apps.x.test_numbers]``: a known code, never sent, for test keys only."""

    code: Annotated[str, matching(r"[0-9]{6,10}", "must be 6 to 10 digits")] = Field(repr=False)
    until: date
    """The last day on which it works: a forgotten one must not stay open."""


class TwilioSettings(Section):
    """``[apps.x.twilio]``: what the app's Twilio Verify client signs in with."""

    account_sid: Annotated[str, matching(r"AC[0-9a-fA-F]{32}", "must be AC and 32 hex digits")]
    auth_token: Secret = Field(repr=False)
    service_sid: Annotated[str, matching(r"VA[0-9a-fA-F]{32}", "must be VA and 32 hex digits")]


class VonageSettings(Section):
    """``[apps.x.vonage]``: what the app's Vonage Verify client signs in with."""

    api_key: Secret
    api_secret: Secret = Field(repr=False)


class AppSettings(Section):
    """``[apps.x]``: a caller with API keys and a policy of its own."""

    name: str
    """The section's own name, and the ``aud`` of the app's proofs."""
    brand: Brand
    """1..30 characters, as the app's users know it."""
    keys: ApiKeys = Field(default=(), repr=False)
    route: Name = "default"
    countries: Countries
    """ISO 3166 alpha-2 in capitals, or ``*`` for all: no default, because it is a choice one has to write."""
    code_length: Annotated[int, whole(6, 10)] = 6
    """Digits. NIST SP 800-63B-4, 3.1.3.2: at least 6."""
    code_length_under_attack: Annotated[int, whole(6, 10)] | None = None
    """Digits while far more checks fail than usual; ``code_length`` when not given."""
    ttl_seconds: Annotated[int, whole(30, 600)] = 600
    """Lifetime of a verification. NIST SP 800-63B-4, 3.1.3.2: at most 10 minutes."""
    max_checks: Annotated[int, whole(1, 10)] = 5
    """Checks of a verification; a resend does not reset them."""
    live_codes: Annotated[int, whole(1, 5)] = 2
    """How many of a verification's codes count, the newest first: a late first message still works."""
    max_sends: Annotated[int, whole(1, 10)] = 5
    """Sends of a verification, its first included."""
    cooldown_seconds: Annotated[tuple[Annotated[int, whole(0, 3600)], ...], NOT_EMPTY] = (30, 60, 120, 300)
    """Wait after the first, second … send; the last one repeats."""
    locale: Locale = "en"
    """BCP 47, in lower case: the language for those of whom nothing is known."""
    line_types: LineTypes = frozenset({"mobile", "fixed_or_mobile"})
    autofill_hosts: tuple[Hostname, ...] = ()
    """Hosts that may stand in the autofill line."""
    custom_codes: bool = Field(default=False, strict=True)
    """May a caller bring its own code, for the drop-in faces."""
    spend_cap: Cap | None = None
    """Money a day."""
    templates: dict[Locale, Template] = Field(default_factory=dict)
    transaction_templates: dict[Locale, TransactionTemplate] = Field(default_factory=dict)
    """Texts that name payee and amount (PSD2 RTS, article 5)."""
    limits: AppLimitSettings = AppLimitSettings()
    signals: SignalSettings | None = None
    """In place of ``[guard.signals]``."""
    webhook: WebhookSettings | None = None
    test_numbers: dict[Number, FixedNumber] = Field(default_factory=dict, repr=False)
    twilio: TwilioSettings | None = None
    vonage: VonageSettings | None = None


class RuleSettings(Section):
    """An entry of ``[[routes.x.rules]]``: other providers for some numbers or apps.

    The first match counts.
    """

    countries: Countries
    line_types: LineTypes | None = None
    """All when not given."""
    apps: Annotated[frozenset[Name], NOT_EMPTY] | None = None
    """All when not given."""
    providers: Chain


class RouteSettings(Section):
    """``[routes.x]``: which providers are tried, in which order."""

    providers: Chain
    strategy: Strategy = "ordered"
    weights: dict[Name, Annotated[int, whole(0, 1000)]] = Field(default_factory=dict)
    """``weighted``: share of first tries by provider, 1 where none is given; 0 only after all others."""
    cost_weight: Annotated[float, number(0, 1)] = 0.05
    """``adaptive``: conversion that one gives up to pay nothing in place of the dearest price."""
    exploration: Annotated[float, number(0, 0.5)] = 0.05
    """``adaptive``: share of sends whose first provider is drawn evenly, so that none is forgotten."""
    deadline_seconds: Annotated[float, number(1, 30)] = 8.0
    """For a whole start, all tries together."""
    rules: tuple[RuleSettings, ...] = ()


class ProviderSettings(Section):
    """``[providers.x]``: an account with a provider."""

    type: Name
    """Which provider; the section's own name unless it says otherwise."""
    base_url: HttpUrl | None = None
    """In place of the provider's own, so that a test can point it at loopback."""
    timeout_seconds: Annotated[float, number(0.1, 10)] = 3.0
    """For one try."""
    ca_file: File | None = None
    """PEM of the authorities to trust in place of the usual ones."""
    sender: Secret | None = None
    """Sender ID where ``senders`` has none for the country."""
    senders: dict[Region, Secret] = Field(default_factory=dict)
    """Sender ID by country."""
    prices: dict[RegionOrEverywhere, Price] = Field(default_factory=dict)
    """Of one segment, by country or ``*``."""
    options: dict[str, Any] = Field(default_factory=dict, repr=False)
    """All other keys of the section: the provider itself knows which it needs."""

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, section: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        if not isinstance(section, dict) or "options" in section:
            return section
        options = {key: value for key, value in section.items() if key not in cls.model_fields}
        return {key: value for key, value in section.items() if key not in options} | {"options": options}
