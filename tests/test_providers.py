"""The registry of providers."""

from __future__ import annotations

from pathlib import Path

import pytest

from otp_service.delivery.providers import TYPES, build, faults
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.provider_cases import cases

SID = "AC" + "a" * 32


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_provider_is_called_as_its_section(kind: str) -> None:
    section = ProviderSettings(
        type=kind, options={} if kind == "console" else cases(kind)["section"]["options"]
    )
    assert build("mine", section, Transport()).name == "mine"


def test_unknown_type_is_a_fault_that_names_the_known() -> None:
    assert faults("x", ProviderSettings(type="pigeon")) == [
        f"providers.x.type: must be one of {', '.join(sorted(TYPES))}"
    ]


def test_console_takes_no_options() -> None:
    assert faults("x", ProviderSettings(type="console", options={"colour": "red"})) == [
        "providers.x.colour: no such setting; console takes none of its own"
    ]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"account_sid": SID}, "type: needs auth_token, or api_key_sid and api_key_secret"),
        (
            {"account_sid": SID, "auth_token": "t", "api_key_sid": "SK1"},
            "type: needs both of api_key_sid and api_key_secret, or neither",
        ),
        (
            {"account_sid": "s3cret", "auth_token": "t"},
            "account_sid: must match pattern '^AC[0-9a-fA-F]{32}$'",
        ),
        (
            {"account_sid": SID, "auth_token": ""},
            "auth_token: must have at least 1 item after validation, not 0",
        ),
    ],
)
def test_twilio_needs_whole_credentials(options: dict[str, str], fault: str) -> None:
    assert faults("x", ProviderSettings(type="twilio", options=options)) == [f"providers.x.{fault}"]


def test_authority_that_is_no_certificate_is_a_fault() -> None:
    section = ProviderSettings(type="console", ca_file=Path(__file__))
    assert faults("x", section) == ["providers.x.ca_file: must be a PEM file of certificates"]
