"""Everything an operator decides: one frozen, typed object, read once and passed down."""

from __future__ import annotations

from otp_service.settings.checks import not_in_force
from otp_service.settings.loading import example, load, settle
from otp_service.settings.sections import (
    AppLimitSettings,
    AppSettings,
    FixedNumber,
    GuardSettings,
    LimitSettings,
    OperatorSettings,
    ProviderSettings,
    RouteSettings,
    RuleSettings,
    SignalSettings,
    TwilioSettings,
    VonageSettings,
    WebhookSettings,
)
from otp_service.settings.settings import Settings, SettingsError
from otp_service.settings.values import SCOPES, ApiKey, Money, RingKey, Window

__all__ = [
    "SCOPES",
    "ApiKey",
    "AppLimitSettings",
    "AppSettings",
    "FixedNumber",
    "GuardSettings",
    "LimitSettings",
    "Money",
    "OperatorSettings",
    "ProviderSettings",
    "RingKey",
    "RouteSettings",
    "RuleSettings",
    "Settings",
    "SettingsError",
    "SignalSettings",
    "TwilioSettings",
    "VonageSettings",
    "WebhookSettings",
    "Window",
    "example",
    "load",
    "not_in_force",
    "settle",
]
