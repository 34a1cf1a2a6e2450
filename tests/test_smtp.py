from __future__ import annotations

import asyncio
import base64
import email
import email.policy
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from aiosmtpd import smtp as aiosmtpd

from otp_service.delivery.provider import Answer, Outcome
from otp_service.delivery.providers import faults
from otp_service.delivery.providers.carriers import CARRIERS, CHECKED
from otp_service.delivery.providers.smtp import LONGEST, Smtp
from otp_service.delivery.transport import Transport
from otp_service.settings import ProviderSettings
from tests.faults_http import Authority, FaultServer, closed_port, deaf_port
from tests.provider_cases import callback, cases, message

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable
    from email.message import EmailMessage

    from tests.faults_http import Connection

OPTIONS: dict[str, Any] = cases("smtp")["section"]["options"] | {"host": "127.0.0.1"}
PASSWORD = OPTIONS["password"]
NOVEMBER = 1795190400.0
"""2026-11-20T16:00:00Z."""
TIMEOUT = 0.45


def smtp(
    options: dict[str, Any] | None = None,
    now: Callable[[], float] = lambda: NOVEMBER,
    timeout: float = 5,
    **section: Any,
) -> Smtp:
    given = OPTIONS | (options or {})
    held = {key: value for key, value in given.items() if value is not None}
    settings = ProviderSettings(type="smtp", options=held, timeout_seconds=timeout, **section)
    return Smtp("smtp", settings, Transport(), now)


def american(**changes: Any) -> Any:
    return message(**{"to": "+12125550123", "region": "US"} | changes)


class Post:
    """A mail server's memory; what it answers can be set."""

    def __init__(self) -> None:
        self.port = 0
        self.letters: list[EmailMessage] = []
        self.raw = b""
        self.envelope: tuple[str, list[str]] = ("", [])
        self.over_tls: list[bool] = []
        self.rcpt = self.data = "250 OK"
        self.auth: str | None = None
        self.left = asyncio.Event()
        self.quit = False

    async def handle_RCPT(self, _s: Any, _n: Any, envelope: Any, address: str, _o: Any) -> str:  # noqa: N802 - its name
        envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - its name
        self.raw = envelope.content
        self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.envelope = (envelope.mail_from, envelope.rcpt_tos)
        self.over_tls.append(session.ssl is not None)
        return self.data

    async def handle_QUIT(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802 - its name
        self.quit = True
        return "221 Bye"

    def authenticate(self, _s: Any, _n: Any, _e: Any, _mechanism: Any, login: Any) -> Any:
        good = (login.login, login.password) == (OPTIONS["username"].encode(), PASSWORD.encode())
        if self.auth or not good:
            return aiosmtpd.AuthResult(success=False, handled=False, message=self.auth)
        return aiosmtpd.AuthResult(success=True)


@asynccontextmanager
async def served(
    tls: ssl.SSLContext, *, implicit: bool = False, starttls: bool = True
) -> AsyncIterator[Post]:
    """aiosmtpd in this loop, on 127.0.0.1."""
    post = Post()

    class Watched(aiosmtpd.SMTP):
        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            if self.transport is None or self.transport.is_closing():
                post.left.set()

    def connection() -> Watched:
        return Watched(
            post,
            hostname="smtp.example.com",
            tls_context=tls if starttls and not implicit else None,
            require_starttls=starttls and not implicit,
            authenticator=post.authenticate,
            auth_required=starttls and not implicit,
            auth_require_tls=starttls and not implicit,  # it does not count a TLS that was there first
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(
        connection, "127.0.0.1", 0, ssl=tls if implicit else None
    )
    post.port = server.sockets[0].getsockname()[1]
    try:
        yield post
    finally:
        server.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("smtp"))


@pytest.fixture
async def post(authority: Authority) -> AsyncIterator[Post]:
    async with served(authority.server()) as post:
        yield post


def dialogue(*replies: str) -> Callable[[Connection], Any]:
    """Say one reply after another, each to a line of the client's but the first, then nothing more."""

    async def fault(client: Connection) -> None:
        for number, reply in enumerate(replies):
            if number:
                client._server.requests.append(await client._reader.readline())  # type: ignore[arg-type] - lines here
            await client.write(reply.encode() + b"\r\n")
        await client.hang()

    return fault


def port(url: str) -> int:
    return urlsplit(url).port or 0


GREETING = "220 smtp.example.com ESMTP"
EHLO = "250-smtp.example.com\r\n250-AUTH PLAIN\r\n250 OK"
OFFERED = "250-smtp.example.com\r\n250-AUTH PLAIN\r\n250 STARTTLS"


# --- what goes out


async def sent(
    post: Post, authority: Authority, text: str = "Testing: 0123456789.", **changes: Any
) -> Answer:
    return await smtp({"port": post.port}, ca_file=authority.ca_file).send(american(text=text, **changes))


async def test_starttls_takes_the_message(post: Post, authority: Authority) -> None:
    assert await sent(post, authority) == Answer(Outcome.ACCEPTED, reference="<a1b2c3@example.com>")
    assert post.over_tls == [True]


async def test_tls_from_the_first_byte_takes_the_message(authority: Authority) -> None:
    async with served(authority.server(), implicit=True) as post:
        provider = smtp({"port": post.port, "security": "tls"}, ca_file=authority.ca_file)
        assert (await provider.send(american())).outcome is Outcome.ACCEPTED
    assert len(post.letters) == 1


async def test_envelope_is_from_our_address_to_the_ten_digits(post: Post, authority: Authority) -> None:
    await sent(post, authority)
    assert post.envelope == ("codes@example.com", ["2125550123@vtext.com"])


async def test_letter_has_these_headers_and_no_subject(post: Post, authority: Authority) -> None:
    await sent(post, authority)
    (letter,) = post.letters
    headers = {name: str(value) for name, value in letter.items()}
    assert headers.pop("Content-Type") == 'text/plain; charset="utf-8"'
    assert headers == {
        "Date": "Fri, 20 Nov 2026 16:00:00 +0000",
        "From": "codes@example.com",
        "To": "2125550123@vtext.com",
        "Message-ID": "<a1b2c3@example.com>",
        "Content-Transfer-Encoding": "7bit",
        "MIME-Version": "1.0",
    }


@pytest.mark.parametrize(
    "text",
    [
        "Acme: 0123456789",
        "Acme: 0123456789\n\n@login.example.com #0123456789",
        "Ñandù à la carte: 0123456789 £",
        ".\n.\nA line that is a dot ends a mail",
        "a" * LONGEST,
        "From here: 0123456789\nSubject: not a header\nBcc: nobody@example.com",
    ],
)
async def test_text_arrives_as_it_was(post: Post, authority: Authority, text: str) -> None:
    await sent(post, authority, text)
    (letter,) = post.letters
    assert letter.get_content().splitlines() == text.splitlines()
    assert (letter["Subject"], letter["Bcc"]) == (None, None)


async def test_line_of_text_is_not_folded(post: Post, authority: Authority) -> None:
    await sent(post, authority, "a=b " * 35)
    assert b"a=b " * 35 in post.raw


async def test_says_quit_and_hangs_up(post: Post, authority: Authority) -> None:
    await sent(post, authority)
    await asyncio.wait_for(post.left.wait(), 2)
    assert post.quit


async def test_works_without_a_login(authority: Authority) -> None:
    async with served(authority.server(), implicit=True) as post:
        options = {"port": post.port, "security": "tls", "username": None, "password": None}
        assert (await smtp(options, ca_file=authority.ca_file).send(american())).outcome is Outcome.ACCEPTED


# --- which gateway


async def refused(options: dict[str, Any] | None = None, **changes: Any) -> tuple[Outcome, str]:
    """The answer where there is no server to connect to, and no need for one."""
    with closed_port() as url:
        answer = await smtp({"port": port(url)} | (options or {})).send(american(**changes))
    assert answer.reason != "connect_failed"
    return answer.outcome, answer.reason


async def recipient(post: Post, authority: Authority, options: dict[str, Any], **changes: Any) -> str:
    await smtp({"port": post.port} | options, ca_file=authority.ca_file).send(american(**changes))
    return post.envelope[1][0]


async def test_carrier_of_the_message_goes_before_that_of_the_configuration(
    post: Post, authority: Authority
) -> None:
    options = {"carrier": "verizon", "carriers": {"+1212": "boost"}}
    assert await recipient(post, authority, options, carrier="googlefi") == "2125550123@msg.fi.google.com"


async def test_longest_prefix_names_the_carrier(post: Post, authority: Authority) -> None:
    options = {"carriers": {"+1212": "boost", "+1212555": "uscellular", "+1212556": "googlefi"}}
    assert await recipient(post, authority, options) == "2125550123@email.uscc.net"


async def test_number_of_no_prefix_is_of_the_default_carrier(post: Post, authority: Authority) -> None:
    assert await recipient(post, authority, {"carriers": {"+1415": "boost"}}) == "2125550123@vtext.com"


@pytest.mark.parametrize("carrier", [name for name, each in CARRIERS.items() if each.dead(CHECKED)])
async def test_dead_gateway_is_refused(carrier: str) -> None:
    assert await refused(carrier=carrier) == (Outcome.UNAVAILABLE, "gateway_dead")


@pytest.mark.parametrize("carrier", [name for name, each in CARRIERS.items() if each.dead(CHECKED)])
def test_dead_gateway_in_the_configuration_is_a_fault_that_says_since_when_and_whence(carrier: str) -> None:
    (fault,) = faults("mail", ProviderSettings(type="smtp", options=OPTIONS | {"carrier": carrier}))
    assert fault.startswith(f"providers.mail.carrier: must not be {carrier}: the gateway of ")
    assert f"is dead since {CARRIERS[carrier].dead_since} ({CARRIERS[carrier].source})" in fault


async def test_verizon_is_alive_until_its_last_day() -> None:
    last_second = 1806451199.0  # 2027-03-30T23:59:59Z
    with closed_port() as url:
        before, after = [
            await smtp({"port": port(url)}, now=lambda at=at: at).send(american())  # type: ignore[misc]
            for at in (last_second, last_second + 1)
        ]
    assert (before.reason, after.reason) == ("connect_failed", "gateway_dead")


@pytest.mark.parametrize("carrier", ["pigeon", "Verizon", "vtext.com", "x\r\nBcc: a@example.com"])
async def test_unknown_carrier_is_refused(carrier: str) -> None:
    assert await refused(carrier=carrier) == (Outcome.UNAVAILABLE, "no_carrier")


async def test_no_carrier_is_refused() -> None:
    assert await refused({"carrier": None}) == (Outcome.UNAVAILABLE, "no_carrier")


@pytest.mark.parametrize("number", ["+37256000000", "+1212555012", "+121255501234", "+10125550123"])
async def test_number_from_elsewhere_is_refused(number: str) -> None:
    assert await refused(to=number) == (Outcome.UNAVAILABLE, "not_north_american")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Код: 0123456789", "not_gsm7"),
        ("a" * (LONGEST + 1), "too_long"),
        ("€" * (LONGEST // 2 + 1), "too_long"),
    ],
)
async def test_text_that_gateways_spoil_is_refused(text: str, reason: str) -> None:
    assert await refused(text=text) == (Outcome.UNAVAILABLE, reason)


# --- what the server says


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        # https://support.google.com/a/answer/3726730; RFC 3463 and RFC 5321 have the classes
        ("550 5.1.1 no such user", Answer(Outcome.UNAVAILABLE, "550_5.1.1")),
        ("550 5.7.1 policy", Answer(Outcome.UNAVAILABLE, "550_5.7.1")),
        ("550 5.4.5 daily sending limit exceeded", Answer(Outcome.UNAVAILABLE, "550_5.4.5", lasting=True)),
        ("530 5.7.0 authentication required", Answer(Outcome.UNAVAILABLE, "530_5.7.0", lasting=True)),
        ("451 4.3.0 try again", Answer(Outcome.UNAVAILABLE, "451_4.3.0")),
        ("450 busy", Answer(Outcome.UNAVAILABLE, "450")),
        ("421 4.7.0 closing", Answer(Outcome.UNAVAILABLE, "421_4.7.0")),
    ],
)
@pytest.mark.parametrize("stage", ["rcpt", "data"])
async def test_refusal_is_certain_at_any_stage(
    post: Post, authority: Authority, stage: str, reply: str, answer: Answer
) -> None:
    setattr(post, stage, reply)
    said = await sent(post, authority)
    assert (said.outcome, said.reason, said.lasting) == (answer.outcome, answer.reason, answer.lasting)
    await asyncio.wait_for(post.left.wait(), 2)


@pytest.mark.parametrize(
    "reply", ["535 5.7.8 not accepted", "534 5.7.9 application password required", "535 no"]
)
async def test_refused_login_lasts(post: Post, authority: Authority, reply: str) -> None:
    post.auth = reply
    answer = await sent(post, authority)
    assert (answer.outcome, answer.reason[:3], answer.lasting) == (Outcome.UNAVAILABLE, reply[:3], True)


async def test_wrong_password_lasts(post: Post, authority: Authority) -> None:
    provider = smtp({"port": post.port, "password": "another"}, ca_file=authority.ca_file)
    answer = await provider.send(american())
    assert (answer.reason, answer.lasting) == ("535_5.7.8", True)


# --- TLS


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(("address", "expired"), [("127.0.0.2", False), ("127.0.0.1", True)])
async def test_wrong_certificate_is_refused(
    authority: Authority, address: str, *, expired: bool, implicit: bool
) -> None:
    async with served(authority.server(address, expired=expired), implicit=implicit) as post:
        options = {"port": post.port, "security": "tls" if implicit else "starttls"}
        answer = await smtp(options, ca_file=authority.ca_file).send(american())
    assert answer == Answer(Outcome.UNAVAILABLE, "bad_certificate")
    assert post.letters == []


async def test_certificate_of_an_unknown_authority_is_refused(post: Post) -> None:
    answer = await smtp({"port": post.port}).send(american())
    assert answer == Answer(Outcome.UNAVAILABLE, "bad_certificate")


@pytest.mark.parametrize(
    ("replies", "reason"),
    [((GREETING, EHLO), "not_offered"), ((GREETING, OFFERED, "454 4.7.0 not now"), "454_4.7.0")],
)
async def test_without_tls_nothing_is_said_but_the_greeting(replies: tuple[str, ...], reason: str) -> None:
    async with FaultServer(dialogue(*replies)) as server:
        answer = await smtp({"port": port(server.url)}).send(american())
        await asyncio.wait_for(server.hung_up.wait(), 2)
    assert (answer.outcome, answer.reason) == (Outcome.UNAVAILABLE, reason)
    assert server.requests == [b"EHLO example.com\r\n", b"STARTTLS\r\n"][: len(replies) - 1]


async def test_server_without_starttls_gets_no_mail(authority: Authority) -> None:
    async with served(authority.server(), starttls=False) as post:
        answer = await smtp({"port": post.port}, ca_file=authority.ca_file).send(american())
    assert (answer.outcome, answer.reason) == (Outcome.UNAVAILABLE, "not_offered")
    assert post.letters == []


async def test_server_without_login_gets_no_mail(authority: Authority) -> None:
    plain = dialogue(GREETING, "250 smtp.example.com")
    async with FaultServer(plain, tls=authority.server()) as server:
        options = {"port": port(server.url), "security": "tls"}
        answer = await smtp(options, ca_file=authority.ca_file).send(american())
    assert (answer.outcome, answer.reason) == (Outcome.UNAVAILABLE, "not_offered")


# --- silence, and connections that die


TO_THE_TEXT = (GREETING, EHLO, "235 in", "250 sender ok", "250 recipient ok", "354 go on")
STAGES = [
    *((number, Outcome.UNAVAILABLE) for number in range(5)),
    *((number, Outcome.UNKNOWN) for number in (5, 6)),
]


@pytest.mark.parametrize(("stage", "outcome"), STAGES)
async def test_silence_is_bounded_at_each_stage(authority: Authority, stage: int, outcome: Outcome) -> None:
    async with FaultServer(dialogue(*TO_THE_TEXT[:stage]), tls=authority.server()) as server:
        options = {"port": port(server.url), "security": "tls"}
        began = asyncio.get_running_loop().time()
        answer = await smtp(options, ca_file=authority.ca_file, timeout=TIMEOUT).send(american())
        took = asyncio.get_running_loop().time() - began
        await asyncio.wait_for(server.hung_up.wait(), 2)
    assert answer == Answer(outcome, "timeout")
    assert took < TIMEOUT + 0.3


@pytest.mark.parametrize(
    "replies", [(), (GREETING,), (GREETING, OFFERED), (GREETING, OFFERED, "220 go ahead")]
)
async def test_silence_before_tls_is_bounded(replies: tuple[str, ...]) -> None:
    async with FaultServer(dialogue(*replies)) as server:
        answer = await smtp({"port": port(server.url)}, timeout=TIMEOUT).send(american())
        await asyncio.wait_for(server.hung_up.wait(), 2)
    assert answer == Answer(Outcome.UNAVAILABLE, "timeout")


@pytest.mark.parametrize(("stage", "outcome"), STAGES)
async def test_connection_lost_is_unknown_once_the_text_was_begun(
    authority: Authority, stage: int, outcome: Outcome
) -> None:
    async def fault(client: Connection) -> None:
        for number, reply in enumerate(TO_THE_TEXT[:stage]):
            if number:
                await client._reader.readline()
            await client.write(reply.encode() + b"\r\n")
        if stage:
            await client._reader.readline()
        client.reset()

    async with FaultServer(fault, tls=authority.server()) as server:
        options = {"port": port(server.url), "security": "tls"}
        answer = await smtp(options, ca_file=authority.ca_file).send(american())
    assert (answer.outcome, answer.reason) == (outcome, "closed")


@pytest.mark.parametrize(("stage", "outcome"), STAGES[1:])
async def test_what_is_no_smtp_is_unknown_once_the_text_was_begun(
    authority: Authority, stage: int, outcome: Outcome
) -> None:
    script = dialogue(*TO_THE_TEXT[:stage], "HTTP/1.1 400 Bad Request")
    async with FaultServer(script, tls=authority.server()) as server:
        options = {"port": port(server.url), "security": "tls"}
        answer = await smtp(options, ca_file=authority.ca_file).send(american())
    assert answer.outcome is outcome


async def test_nobody_there_is_unavailable() -> None:
    with closed_port() as url:
        assert await smtp({"port": port(url)}).send(american()) == Answer(
            Outcome.UNAVAILABLE, "connect_failed"
        )
    with deaf_port() as url:
        answer = await smtp({"port": port(url)}, timeout=TIMEOUT).send(american())
    assert answer == Answer(Outcome.UNAVAILABLE, "timeout")


async def test_cancelled_send_hangs_up(authority: Authority) -> None:
    async with FaultServer(dialogue(*TO_THE_TEXT), tls=authority.server()) as server:
        options = {"port": port(server.url), "security": "tls"}
        sending = asyncio.create_task(smtp(options, ca_file=authority.ca_file).send(american()))
        while len(server.requests) < len(TO_THE_TEXT) - 1:  # noqa: ASYNC110 - the server sets no event for it
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait_for(server.hung_up.wait(), 2)


# --- settings


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"password": None}, "type: needs both of username and password, or neither"),
        ({"security": "plain"}, "security: must be 'starttls' or 'tls'"),
        ({"host": "smtp.example.com\r\nNOOP"}, "host: must be a host name or an IP address"),
        (
            {"mail_from": "Acme <codes@example.com>"},
            "mail_from: must be an address such as codes@example.com, nothing else",
        ),
        (
            {"mail_from": "codes@example.com\r\nBcc: a@example.com"},
            "mail_from: must be an address such as codes@example.com, nothing else",
        ),
        ({"carrier": "pigeon"}, "carrier: must be one of boost, googlefi, uscellular, verizon"),
        ({"carriers": {"+1": "pigeon"}}, "carriers: must be one of boost, googlefi, uscellular, verizon"),
        (
            {"carriers": {"+44": "verizon"}},
            "carriers: must name prefixes of North American numbers: +1…",
        ),
    ],
)
def test_fault_says_what_is_allowed(options: dict[str, Any], fault: str) -> None:
    given = {key: value for key, value in (OPTIONS | options).items() if value is not None}
    assert faults("mail", ProviderSettings(type="smtp", options=given)) == [f"providers.mail.{fault}"]


def test_ports_are_those_of_the_standards() -> None:
    assert (smtp()._client().port, smtp({"security": "tls"})._client().port) == (587, 465)


def test_nobody_reports() -> None:
    provider = smtp()
    assert (provider.signs_receipts, provider.receipts(callback("https://otp.example.com", b"{}"))) == (
        False,
        (),
    )


async def test_password_and_number_are_nowhere(post: Post, authority: Authority) -> None:
    provider = smtp({"port": post.port}, ca_file=authority.ca_file)
    answer = await provider.send(american())
    shown = repr([answer, provider._options, vars(provider)])
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    assert not [secret for secret in (PASSWORD, encoded, "2125550123", "0123456789") if secret in shown]
