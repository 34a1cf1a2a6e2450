from __future__ import annotations

from otp_service.delivery.provider import Answer, Outcome
from otp_service.delivery.providers.console import INBOX_SIZE, Console, InboxMessage
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.provider_cases import callback, message


def console() -> Console:
    return Console("console", ProviderSettings(type="console"), Transport(), now=lambda: 1_700_000_000.0)


async def test_takes_every_message_and_names_it() -> None:
    assert await console().send(message(attempt="a1")) == Answer(Outcome.ACCEPTED, reference="a1")


async def test_inbox_shows_number_text_and_moment() -> None:
    provider = console()
    await provider.send(message(text="one"))
    assert list(provider.inbox) == [InboxMessage("+37256000000", "one", 1_700_000_000.0)]


async def test_inbox_keeps_only_the_newest() -> None:
    provider = console()
    for number in range(INBOX_SIZE + 5):
        await provider.send(message(text=str(number)))
    assert [each.text for each in provider.inbox] == [str(number) for number in range(5, INBOX_SIZE + 5)]


async def test_inbox_in_a_log_shows_neither_number_nor_text() -> None:
    provider = console()
    await provider.send(message())
    assert "56000000" not in repr(provider.inbox)
    assert "0123456789" not in repr(provider.inbox)


def test_has_no_receipts() -> None:
    provider = console()
    assert not provider.signs_receipts
    assert list(provider.receipts(callback("https://otp.example.com/v1/receipts/console/t", b"{}"))) == []
