"""E-mail to a carrier's gateway, which turns it into an SMS: the last resort of a route, where it works.

A 250 means that our own mail server took it. What the gateway makes of it comes back hours later or never, so
nothing here is ever better than ``accepted``.
"""

from __future__ import annotations

import re
import ssl
import time
from asyncio import timeout
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self, cast

import aiosmtplib
from pydantic import AfterValidator, Field, SecretStr, model_validator

from otp_service.delivery.answers import judged
from otp_service.delivery.failures import BEFORE_TEXT, word_for
from otp_service.delivery.provider import Answer, Callback, Message, Outcome, ProviderOptions, Receipt
from otp_service.delivery.providers.carriers import CARRIERS, CHECKED
from otp_service.segments import segments
from otp_service.settings.readers import matching

if TYPE_CHECKING:
    from asyncio import WriteTransport
    from collections.abc import Callable, Sequence

    from otp_service.delivery.transport import Transport
    from otp_service.settings import ProviderSettings

PORTS: Final = {"starttls": 587, "tls": 465}
"""RFC 6409, section 3.1, and RFC 8314, section 7.3."""
LONGEST: Final = 140
"""Characters that every gateway takes; some cut at 160, all of them what is longer."""

LASTING: Final = frozenset(
    {
        "530",  # authentication required, RFC 4954, section 6
        "534",  # the account needs an application password: 534 5.7.9
        "535",  # wrong credentials, RFC 4954, section 6
        "550 5.4.5",  # daily limit reached, https://support.google.com/a/answer/3726730
    }
)
"""Replies that will be the same for every message, for minutes to come. All other refusals, a 550 5.1.1 of
the recipient included, are about this gateway and this message: another provider may reach the number."""

_ENHANCED: Final = re.compile(r"[45]\.\d{1,3}\.\d{1,3}")
_LINES: Final = SMTP_POLICY.clone(max_line_length=998)
"""RFC 5322, section 2.1.1. At the default of 78 a longer line would go out quoted-printable, which a gateway
may show as it is."""


def _alive(name: str) -> str:
    carrier = CARRIERS.get(name)
    if carrier is None:
        raise ValueError(f"must be one of {', '.join(_ALIVE)}")
    if carrier.dead(CHECKED):
        raise ValueError(
            f"must not be {name}: the gateway of {carrier.name} is dead since {carrier.dead_since} "
            f"({carrier.source}); alive are {', '.join(_ALIVE)}"
        )
    return name


_ALIVE: Final = [name for name, carrier in CARRIERS.items() if not carrier.dead(CHECKED)]
_Host = Annotated[str, matching(r"[A-Za-z0-9.:-]{1,253}", "must be a host name or an IP address")]
_Address = Annotated[
    str,
    matching(
        r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,60}",
        "must be an address such as codes@example.com, nothing else",
    ),
]
_Prefix = Annotated[str, matching(r"\+1[0-9]{0,10}", "must name prefixes of North American numbers: +1…")]
_Carrier = Annotated[str, AfterValidator(_alive)]


class SmtpOptions(ProviderOptions):
    """A mail server that relays for us, and which carrier's gateway to write to."""

    host: _Host
    port: int | None = Field(default=None, ge=1, le=65535)
    security: Literal["starttls", "tls"] = "starttls"
    username: str | None = Field(default=None, min_length=1)
    password: SecretStr | None = Field(default=None, min_length=1)
    mail_from: _Address
    """Sender and envelope sender: bounces come here."""
    carrier: _Carrier | None = None
    """Of every number that nothing else is known of."""
    carriers: dict[_Prefix, _Carrier] = Field(default_factory=dict)
    """By prefix of the number, the longest first."""

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("needs both of username and password, or neither")
        return self


class _Client(aiosmtplib.SMTP):
    """Hangs up at once: a good-bye in TLS would wait up to 30 s for that of the other side."""

    def close(self) -> None:
        """Without waiting for anything."""
        if self.transport is not None:
            cast("WriteTransport", self.transport).abort()
        super().close()


class Smtp:
    """Sends through a carrier's e-mail gateway, over a connection of its own for each message.

    Mail servers drop an idle connection after minutes, and one that died unnoticed would leave a message of
    unknown fate: not worth it for a path that is seldom taken.

    Args:
        name: The section's name.
        section: ``SmtpOptions`` beside the common fields.
        transport: Not used: it carries HTTP.
        now: Seconds since 1970.
    """

    Options: ClassVar[type[ProviderOptions]] = SmtpOptions
    signs_receipts: bool = False
    takes_media: bool = False

    def __init__(
        self,
        name: str,
        section: ProviderSettings,
        transport: Transport,  # noqa: ARG002 - every provider is built alike
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._options = SmtpOptions.model_validate(section.options)
        self._seconds = section.timeout_seconds
        self._tls = ssl.create_default_context(cafile=section.ca_file)
        self._now = now

    @property
    def address(self) -> str:
        """Where it brings mail, as a URL; STARTTLS begins in clear."""
        options = self._options
        scheme = "tls" if options.security == "tls" else "tcp"
        return f"{scheme}://{options.host}:{options.port or PORTS[options.security]}"

    async def send(self, message: Message) -> Answer:
        """Mail one message."""
        letter = self._letter(message)
        if isinstance(letter, Answer):
            return letter
        client = self._client()
        otherwise = Outcome.UNAVAILABLE
        try:
            async with timeout(self._seconds):
                async with timeout(self._seconds * BEFORE_TEXT):
                    await self._introduce(client, letter)
                otherwise = Outcome.UNKNOWN  # from here on the text may have been read
                await client.data(letter.as_bytes())
        except Exception as failure:  # noqa: BLE001 - whatever it was, a send ends with an answer
            return _refusal(failure, otherwise)
        else:
            _say_quit(client)
            return Answer(Outcome.ACCEPTED, reference=letter["Message-ID"])
        finally:
            client.close()

    def receipts(self, callback: Callback) -> Sequence[Receipt]:  # noqa: ARG002 - there are none
        """None: a gateway reports by mail, if at all."""
        return ()

    def _letter(self, message: Message) -> EmailMessage | Answer:
        """The mail, or why there can be none."""
        now = datetime.fromtimestamp(self._now(), UTC)
        carrier = CARRIERS.get(message.carrier or self._carrier_of(message.to))
        if carrier is None:
            return Answer(Outcome.UNAVAILABLE, "no_carrier")
        if carrier.dead(now.date().isoformat()):
            return Answer(Outcome.UNAVAILABLE, "gateway_dead", text=f"{carrier.name}: {carrier.source}")
        number = re.fullmatch(r"\+1([2-9][0-9]{9})", message.to)
        if number is None:  # the only gateways left are there
            return Answer(Outcome.UNAVAILABLE, "not_north_american")
        size = segments(message.text)
        if size.encoding != "GSM-7":
            return Answer(Outcome.UNAVAILABLE, "not_gsm7")
        if size.units > LONGEST:
            return Answer(Outcome.UNAVAILABLE, "too_long")
        sender = self._options.mail_from
        letter = EmailMessage(_LINES)
        letter["Date"] = now
        letter["From"] = sender
        letter["To"] = f"{number[1]}@{carrier.domain}"
        letter["Message-ID"] = f"<{message.attempt}@{_domain(sender)}>"
        # No subject: most gateways put it before the text, in brackets.
        letter.set_content(message.text)
        return letter

    def _carrier_of(self, number: str) -> str:
        known = self._options.carriers
        prefixes = sorted((prefix for prefix in known if number.startswith(prefix)), key=len)
        return known[prefixes[-1]] if prefixes else self._options.carrier or ""

    def _client(self) -> _Client:
        options = self._options
        return _Client(
            hostname=options.host,
            port=options.port or PORTS[options.security],
            local_hostname=_domain(options.mail_from),  # else this machine's own name, looked up and shown
            use_tls=options.security == "tls",
            start_tls=False,  # done below, where it cannot be skipped
            tls_context=self._tls,
            timeout=None,  # ours is round the whole
        )

    async def _introduce(self, client: _Client, letter: EmailMessage) -> None:
        """Everything that comes before the text. Without TLS nothing is said but EHLO and STARTTLS."""
        options = self._options
        await client.connect()
        if options.security == "starttls":
            await client.starttls()
        if options.username and options.password:
            await client.login(options.username, options.password.get_secret_value())
        await client.mail(options.mail_from)
        await client.rcpt(letter["To"])


def _say_quit(client: _Client) -> None:
    """And do not wait for the answer: a person is waiting for ours."""
    if client.protocol is not None and client.protocol.is_connected:
        client.protocol.write(b"QUIT\r\n")


def _refusal(failure: Exception, otherwise: Outcome) -> Answer:
    """What a failure says. A 4yz or 5yz is certain at any time: nothing was taken (RFC 5321, 4.2.1)."""
    if isinstance(failure, aiosmtplib.SMTPResponseException) and failure.code // 100 in (4, 5):
        enhanced = _ENHANCED.match(failure.message)
        code = f"{failure.code} {enhanced[0]}" if enhanced else str(failure.code)
        lasting = bool(LASTING & {str(failure.code), code})
        return judged(Outcome.UNAVAILABLE, code, failure.message, lasting=lasting)
    if type(failure) is aiosmtplib.SMTPException:  # its own: no STARTTLS, or no AUTH that we know
        return judged(otherwise, "not_offered", failure.message)
    return Answer(otherwise, word_for(failure))


def _domain(address: str) -> str:
    return address.rpartition("@")[2]
