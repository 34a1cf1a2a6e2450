from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from otp_service.delivery.alphabet import DEFAULT, UCS2, parts
from otp_service.delivery.bind import Bind
from otp_service.delivery.pdu import Command, Pdu, bind_transceiver, deliver_sm
from otp_service.delivery.provider import Answer, Outcome, Receipt, ReceiptState
from otp_service.delivery.providers import faults, smpp
from otp_service.delivery.providers.smpp import STATES, STATUSES, Smpp
from otp_service.delivery.transport import Transport
from otp_service.segments import segments
from otp_service.settings import ProviderSettings
from tests.faults_http import Authority, FaultServer, closed_port, hang_after_accept, reset_after_accept
from tests.lab import lab
from tests.provider_cases import callback, cases, message
from tests.smsc import Smsc, smsc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.faults_http import Connection
    from tests.servers import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPTIONS: dict[str, Any] = cases("smpp")["section"]["options"] | {"host": "127.0.0.1", "tls": False}
TOKEN = "t" * 52
TIMEOUT = 0.3
RECEIPT = (
    "id:{id} sub:001 dlvrd:001 submit date:2611201600 done date:2611201601 stat:{stat} err:{err} text:Acme"
)


@asynccontextmanager
async def provided(
    port: int, *, options: dict[str, Any] | None = None, **section: Any
) -> AsyncIterator[Smpp]:
    given = OPTIONS | {"port": port} | (options or {})
    settings = ProviderSettings(**{"type": "smpp", "options": given, "timeout_seconds": 5} | section)
    async with Transport() as transport:
        yield Smpp("smpp", settings, transport)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Smsc]:
    async with smsc() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def server(running: Smsc) -> Smsc:
    await running.reset()
    return running


@pytest_asyncio.fixture(loop_scope="module")
async def provider(server: Smsc) -> AsyncIterator[Smpp]:
    async with provided(server.port) as provider:
        yield provider


@pytest.fixture
def heard(provider: Smpp) -> asyncio.Queue[Receipt]:
    """What comes to the provider's hook."""
    queue: asyncio.Queue[Receipt] = asyncio.Queue()
    provider.heard = queue.put
    return queue


def receipt(id_: str = "ID0001", stat: str = "DELIVRD", err: str = "000", **fields: Any) -> dict[str, Any]:
    text = RECEIPT.format(id=id_, stat=stat, err=err)
    return {"esm_class": 4, "source_addr": "37256000000", "short_message": text} | fields


def port(url: str) -> int:
    return urlsplit(url).port or 0


# --- sending, to an SMSC that somebody else wrote


async def test_message_is_taken_and_named(provider: Smpp) -> None:
    assert await provider.send(message()) == Answer(Outcome.ACCEPTED, reference="ID0001", segments=1)


async def test_message_goes_out_like_this(provider: Smpp, server: Smsc) -> None:
    await provider.send(message(expires_in=3723))
    assert await server.saw("bound") is True
    sent = await server.saw("submit")
    assert {key: sent[key] for key in sent if key not in ("command_length", "sequence_number", "udh")} == {
        "command": "submit_sm",
        "command_id": 4,
        "command_status": 0,
        "service_type": "",
        "source_addr_ton": 0,
        "source_addr_npi": 0,
        "source_addr": "",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": "37256000000",
        "esm_class": 0,
        "protocol_id": 0,
        "priority_flag": 0,
        "schedule_delivery_time": "",
        "validity_period": "000000010203000R",
        "registered_delivery": 1,
        "replace_if_present_flag": 0,
        "data_coding": 0,
        "sm_default_msg_id": 0,
        "short_message": "Testing: 0123456789 is your Acme code.",
    }


@pytest.mark.parametrize(
    ("sender", "source"),
    [
        ("Acme", (5, 0, "Acme")),
        ("+37250000000", (1, 1, "37250000000")),
        ("37250000000", (1, 1, "37250000000")),
        ("12345", (0, 1, "12345")),
        ("Ac\0me", (5, 0, "Ac?me")),
    ],
)
async def test_sender_says_of_which_kind_it_is(
    server: Smsc, sender: str, source: tuple[int, int, str]
) -> None:
    async with provided(server.port, sender=sender) as provider:
        await provider.send(message())
    sent = await server.saw("submit")
    assert (sent["source_addr_ton"], sent["source_addr_npi"], sent["source_addr"]) == source


async def test_name_is_not_sent_where_only_numbers_pass(server: Smsc) -> None:
    async with provided(server.port, sender="Acme") as provider:
        answer = await provider.send(message(to="+12125550123", region="US"))
    assert answer == Answer(Outcome.UNAVAILABLE, "sender_not_allowed")


@pytest.mark.parametrize(
    ("text", "coding"),
    [
        ("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ ¤¡ÄÖÑÜ§¿äöñüà ^{}\\[~]|€", DEFAULT),
        ("Код: 0123456789", UCS2),
        ("Acme: 0123456789 👍", UCS2),
    ],
)
async def test_text_arrives_as_it_was(provider: Smpp, server: Smsc, text: str, coding: int) -> None:
    await provider.send(message(text=text))
    sent = await server.saw("submit")
    assert (sent["short_message"], sent["data_coding"]) == (text, coding)


@pytest.mark.parametrize("text", ["a" * 152 + "{" + "b" * 160, "Ж" * 66 + "👍" + "Ж" * 60])
async def test_long_text_arrives_in_parts_that_say_so(provider: Smpp, server: Smsc, text: str) -> None:
    answer = await provider.send(message(text=text))
    assert answer.segments == segments(text).count
    sent = [await server.saw("submit") for _ in range(answer.segments or 0)]
    assert "".join(each["short_message"] for each in sent) == text
    assert {each["esm_class"] for each in sent} == {0x40}
    headers = [each["udh"][0] for each in sent]
    assert len({header[:6] for header in headers}) == 1
    assert [header[6:] for header in headers] == [f"{len(sent):02x}{n:02x}" for n in range(1, len(sent) + 1)]


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (0x0B, Outcome.UNDELIVERABLE, "0x0B"),
        (0x58, Outcome.UNAVAILABLE, "0x58"),
        (0x14, Outcome.UNAVAILABLE, "0x14"),
        (0x08, Outcome.UNKNOWN, "0x08"),
        (0x400, Outcome.UNKNOWN, "0x400"),
    ],
)
async def test_status_is_read_by_table(
    provider: Smpp, server: Smsc, status: int, outcome: Outcome, reason: str
) -> None:
    assert STATUSES.get(status, Outcome.UNKNOWN) is outcome
    await server.order(status=status)
    assert await provider.send(message()) == Answer(outcome, reason)


async def test_refusal_of_a_later_part_is_unknown() -> None:
    async def fault(client: Connection) -> None:
        await take(client)
        for status in (0, 0x58):
            pdu = await Pdu.read(client._reader)
            await client.write(bytes(pdu.answer(status, b"1\0")))
        await stay(client)

    async with FaultServer(fault) as server, provided(port(server.url)) as provider:
        assert await provider.send(message(text="a" * 161)) == Answer(Outcome.UNKNOWN, "0x58")


async def test_text_of_too_many_parts_is_refused(provider: Smpp) -> None:
    assert await provider.send(message(text="a" * (153 * 255 + 1))) == Answer(Outcome.UNAVAILABLE, "too_long")


async def test_many_messages_share_one_bind(provider: Smpp, server: Smsc) -> None:
    answers = await asyncio.gather(*(provider.send(message()) for _ in range(50)))
    assert len({answer.reference for answer in answers}) == 50
    for _ in range(50):
        await server.saw("submit")
    assert server.seen("bound") == 1


async def test_says_good_bye(server: Smsc) -> None:
    async with provided(server.port) as provider:
        await provider.send(message())
    assert await server.saw("unbound")
    assert await server.saw("closed")


async def test_nothing_is_opened_before_the_first_message(server: Smsc) -> None:
    async with provided(server.port):
        pass
    await server.order()
    assert server.seen("closed") == 0


# --- the bind


@pytest.mark.parametrize("options", [{"password": "another"}, {"system_id": "nobody"}])
async def test_wrong_credentials_last(server: Smsc, options: dict[str, str]) -> None:
    async with provided(server.port, options=options) as provider:
        assert await provider.send(message()) == Answer(Outcome.UNAVAILABLE, "0x0E", lasting=True)
        assert await server.saw("closed")


async def test_binds_again_after_a_lost_connection(provider: Smpp, server: Smsc) -> None:
    await provider.send(message())
    await server.order(drop=True)
    await server.saw("closed")
    await until(lambda: bool(provider._bind._session and provider._bind._session.ended))
    assert (await provider.send(message())).outcome is Outcome.ACCEPTED


async def test_binds_again_after_the_smsc_unbound(provider: Smpp, server: Smsc) -> None:
    await provider.send(message())
    await server.order(do="unbind")
    await server.saw("closed")
    assert (await provider.send(message())).outcome is Outcome.ACCEPTED


async def test_connection_lost_while_waiting_is_unknown(provider: Smpp, server: Smsc) -> None:
    await server.order(status=None)
    sending = asyncio.create_task(provider.send(message()))
    await server.saw("submit")
    await server.order(drop=True)
    assert await sending == Answer(Outcome.UNKNOWN, "closed")


async def test_silence_is_unknown_and_asks_whether_anybody_is_there(server: Smsc) -> None:
    await server.order(status=None)
    async with provided(server.port, timeout_seconds=TIMEOUT) as provider:
        assert await provider.send(message()) == Answer(Outcome.UNKNOWN, "timeout")
        assert await server.saw("asked")
        await server.order(status=0)
        assert (await provider.send(message())).outcome is Outcome.ACCEPTED
    await server.saw("unbound")
    assert server.seen("bound") == 1


async def test_answers_whether_it_is_there(provider: Smpp, server: Smsc) -> None:
    await provider.send(message())
    await server.order(do="enquire_link")
    assert await server.saw("alive")


async def test_refuses_what_it_does_not_know(provider: Smpp, server: Smsc) -> None:
    await provider.send(message())
    await server.order(do="query_sm")
    assert await server.saw("nack") == 3


async def test_nobody_there_is_unavailable() -> None:
    with closed_port() as url:
        async with provided(port(url)) as provider:
            assert await provider.send(message()) == Answer(Outcome.UNAVAILABLE, "connect_failed")


async def answers_nonsense(client: Connection) -> None:
    await Pdu.read(client._reader)
    await client.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await client.hang()


async def answers_something_else(client: Connection) -> None:
    pdu = await Pdu.read(client._reader)
    await client.write(bytes(Pdu(0x80000015, 0, pdu.sequence)))
    await client.hang()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (hang_after_accept, "timeout"),
        (reset_after_accept, "closed"),
        (answers_nonsense, "closed"),
        (answers_something_else, "call_failed"),
    ],
)
async def test_bind_that_fails_is_unavailable(fault: Callable[[Connection], Any], reason: str) -> None:
    async with (
        FaultServer(fault) as server,
        provided(port(server.url), timeout_seconds=TIMEOUT) as provider,
    ):
        assert await provider.send(message()) == Answer(Outcome.UNAVAILABLE, reason)


async def take(client: Connection) -> Pdu:
    """Bind whoever comes."""
    pdu = await Pdu.read(client._reader)
    await client.write(bytes(pdu.answer(0, b"smsc\0")))
    return pdu


async def stay(client: Connection) -> None:
    """Answer whatever comes, a good-bye above all."""
    while True:
        await client.write(bytes((await Pdu.read(client._reader)).answer()))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda pdu: pdu.answer(0, b"\0"), Answer(Outcome.UNKNOWN, "0x00")),
        (lambda pdu: pdu.answer(0, b""), Answer(Outcome.UNKNOWN, "0x00")),
        (lambda pdu: pdu.answer(0, b"two words\0"), Answer(Outcome.UNKNOWN, "0x00")),
        (lambda pdu: Pdu(0x80000000, 0x03, pdu.sequence), Answer(Outcome.UNAVAILABLE, "0x03")),
        (lambda pdu: Pdu(0x80000015, 0, pdu.sequence), Answer(Outcome.UNKNOWN, "call_failed")),
        (lambda pdu: pdu.answer(0, bytes(70_000)), Answer(Outcome.UNKNOWN, "closed")),
    ],
)
async def test_odd_answer_to_a_message(answer: Callable[[Pdu], Pdu], expected: Answer) -> None:
    async def fault(client: Connection) -> None:
        await take(client)
        await client.write(bytes(answer(await Pdu.read(client._reader))))
        await stay(client)

    async with FaultServer(fault) as server, provided(port(server.url)) as provider:
        assert await provider.send(message()) == expected


async def test_answer_of_nobodys_question_is_ignored() -> None:
    async def fault(client: Connection) -> None:
        await take(client)
        pdu = await Pdu.read(client._reader)
        await client.write(
            bytes(Pdu(0x80000004, 0, pdu.sequence + 7, b"other\0")) + bytes(Pdu(0x80000000, 3, 0))
        )
        await client.write(bytes(pdu.answer(0, b"mine\0")))
        await stay(client)

    async with FaultServer(fault) as server, provided(port(server.url)) as provider:
        assert (await provider.send(message())).reference == "mine"


async def test_silent_session_is_given_up_in_time() -> None:
    async def fault(client: Connection) -> None:
        await take(client)
        await client.hang()

    async def nobody(_body: bytes) -> int:
        return 0

    async with FaultServer(fault) as server:
        bind = Bind("127.0.0.1", port(server.url), None, b"", nobody, patience=0.02, idle=0.01)
        session = await bind.session()
        await asyncio.wait_for(server.hung_up.wait(), 2)
        assert session.ended


async def test_slow_bind_of_one_leaves_time_to_the_next(server: Smsc) -> None:
    async with provided(server.port) as provider:
        first = asyncio.create_task(provider.send(message()))
        await asyncio.sleep(0)
        first.cancel()
        assert (await provider.send(message())).outcome is Outcome.ACCEPTED


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not true():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0)


# --- TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("smpp"))


async def test_tls_takes_the_message(authority: Authority) -> None:
    authority.server()
    async with (
        smsc(authority.ca_file.with_name("127.0.0.1-False.pem")) as server,
        provided(server.port, options={"tls": True}, ca_file=authority.ca_file) as provider,
    ):
        assert (await provider.send(message())).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(("address", "expired"), [("127.0.0.2", False), ("127.0.0.1", True)])
async def test_wrong_certificate_is_refused(authority: Authority, address: str, *, expired: bool) -> None:
    tls = authority.server(address, expired=expired)
    async with (
        FaultServer(hang_after_accept, tls=tls) as server,
        provided(port(server.url), options={"tls": True}, ca_file=authority.ca_file) as provider,
    ):
        assert await provider.send(message()) == Answer(Outcome.UNAVAILABLE, "bad_certificate")


async def test_tls_is_the_default_and_checks_the_name() -> None:
    given = {key: value for key, value in OPTIONS.items() if key != "tls"}
    provider = Smpp("smpp", ProviderSettings(type="smpp", options=given), Transport())
    tls = provider._bind._tls
    assert tls
    assert (provider._bind._port, tls.verify_mode, tls.check_hostname) == (3550, ssl.CERT_REQUIRED, True)


async def test_server_that_speaks_no_tls_gets_no_password(server: Smsc) -> None:
    async with provided(server.port, options={"tls": True}, timeout_seconds=TIMEOUT) as provider:
        answer = await provider.send(message())
    assert answer.outcome is Outcome.UNAVAILABLE
    await server.order()
    assert server.seen("bound") == 0


# --- receipts


@pytest.mark.parametrize(
    ("stat", "became", "outcome", "reason"),
    [
        ("DELIVRD", ReceiptState.DELIVERED, None, ""),
        ("EXPIRED", ReceiptState.FAILED, Outcome.UNAVAILABLE, "EXPIRED:001"),
        ("DELETED", ReceiptState.FAILED, Outcome.UNAVAILABLE, "DELETED:001"),
        ("UNDELIV", ReceiptState.FAILED, Outcome.UNAVAILABLE, "UNDELIV:001"),
        ("REJECTD", ReceiptState.FAILED, Outcome.UNAVAILABLE, "REJECTD:001"),
    ],
)
async def test_receipt_comes_with_the_token_of_its_message(
    provider: Smpp,
    server: Smsc,
    heard: asyncio.Queue[Receipt],
    stat: str,
    became: ReceiptState,
    outcome: Outcome | None,
    reason: str,
) -> None:
    assert STATES[stat] == (became, outcome)
    await provider.send(message(token=TOKEN))
    await server.order(deliver=receipt(stat=stat, err="001"))
    assert await server.saw("took") == 0
    assert heard.get_nowait() == Receipt(became, outcome, reason, TOKEN)


@pytest.mark.parametrize("state", range(1, 9))
async def test_optional_parameters_go_before_the_text(
    provider: Smpp, server: Smsc, heard: asyncio.Queue[Receipt], state: int
) -> None:
    await provider.send(message(token=TOKEN))
    fields = {"receipted_message_id": "ID0001", "message_state": state}
    await server.order(deliver=receipt("other", "ACCEPTD", **fields))
    await server.saw("took")
    expected = [smpp.MESSAGE_STATES[state]] if state in smpp.MESSAGE_STATES else []
    became = [STATES[word][0] for word in expected]
    assert [heard.get_nowait().state for _ in range(heard.qsize())] == became


@pytest.mark.parametrize(
    "brought",
    [
        receipt(stat="ACCEPTD"),
        receipt(stat="ENROUTE"),
        receipt(stat="UNKNOWN"),
        receipt(stat="PIGEON"),
        receipt(id_="ID0002"),
        receipt(esm_class=0),
        receipt(short_message=""),
        receipt(short_message="stat:DELIVRD"),
    ],
)
async def test_what_says_nothing_new_is_taken_and_dropped(
    provider: Smpp, server: Smsc, heard: asyncio.Queue[Receipt], brought: dict[str, Any]
) -> None:
    await provider.send(message(token=TOKEN))
    await server.order(deliver=brought)
    assert await server.saw("took") == 0
    assert heard.empty()


async def test_receipt_right_behind_the_answer_is_heard(
    provider: Smpp, server: Smsc, heard: asyncio.Queue[Receipt]
) -> None:
    await server.order(with_receipt=receipt())
    await provider.send(message(token=TOKEN))
    await server.saw("took")
    assert heard.get_nowait().token == TOKEN


async def test_receipt_after_a_new_bind_is_heard(
    provider: Smpp, server: Smsc, heard: asyncio.Queue[Receipt]
) -> None:
    await provider.send(message(token=TOKEN))
    await server.order(do="unbind")
    await server.saw("closed")
    await provider.send(message(token="u" * 52))
    await server.order(deliver=receipt("ID0001"))
    await server.saw("took")
    assert heard.get_nowait().token == TOKEN


async def test_receipt_of_any_part_is_heard(
    provider: Smpp, server: Smsc, heard: asyncio.Queue[Receipt]
) -> None:
    await provider.send(message(text="a" * 161, token=TOKEN))
    await server.order(deliver=receipt("ID0002", "UNDELIV"))
    await server.saw("took")
    assert heard.get_nowait().token == TOKEN


async def test_decimal_receipt_names_a_hexadecimal_message() -> None:
    async def fault(client: Connection) -> None:
        await take(client)
        pdu = await Pdu.read(client._reader)
        await client.write(bytes(pdu.answer(0, b"00A1\0")))
        text = RECEIPT.format(id="0161", stat="DELIVRD", err="000").encode()
        body = b"\0" + b"\1\1\0" * 2 + b"\4\0\0\0\0" + bytes([0, 0, 0, 0, len(text)]) + text
        await client.write(bytes(Pdu(Command.DELIVER_SM, 0, 1, body)))
        await stay(client)

    queue: asyncio.Queue[Receipt] = asyncio.Queue()
    options = {"receipt_ids": "decimal"}
    async with FaultServer(fault) as server, provided(port(server.url), options=options) as provider:
        provider.heard = queue.put
        await provider.send(message(token=TOKEN))
        assert await asyncio.wait_for(queue.get(), 2) == Receipt(ReceiptState.DELIVERED, token=TOKEN)


async def test_receipt_that_could_not_be_kept_is_asked_for_again(provider: Smpp, server: Smsc) -> None:
    async def fail(_: Receipt) -> None:
        raise OSError

    provider.heard = fail
    await provider.send(message(token=TOKEN))
    await server.order(deliver=receipt())
    assert await server.saw("took") == 0x64


async def test_message_that_a_receipt_calls_lost_goes_out_through_the_next_provider(
    server: Smsc, redis: Server
) -> None:
    options = OPTIONS | {"port": server.port}
    providers = {"smpp": {"options": options, "timeout_seconds": 5}, "console": {}}
    routes = {"default": {"providers": ["smpp", "console"]}}
    async with lab(redis.url, key="live1", providers=providers, routes=routes) as live:
        await live.start()
        assert live.inbox == []
        await server.order(deliver=receipt(stat="UNDELIV", err="001"))
        await server.saw("took")
        await live.service.worker.work()
        assert len(live.inbox) == 1


async def test_receipt_is_taken_where_nobody_listens(provider: Smpp, server: Smsc) -> None:
    await provider.send(message(token=TOKEN))
    await server.order(deliver=receipt())
    assert await server.saw("took") == 0


async def test_remembers_no_more_than_it_may() -> None:
    provider = Smpp("smpp", ProviderSettings(type="smpp", options=OPTIONS), Transport())
    for number in range(smpp.REMEMBERED + 2):
        provider._remember(f"{number:05}", TOKEN)
    assert len(provider._tokens) == smpp.REMEMBERED
    assert next(iter(provider._tokens)) == "2"


@pytest.mark.parametrize("cut", range(17))
async def test_message_cut_off_is_no_message(cut: int) -> None:
    whole = b"\0" + b"\1\1\0" * 2 + b"\4\0\0\0\0" + bytes(5)
    assert deliver_sm(whole).is_receipt
    with pytest.raises(ValueError, match="cut off"):
        deliver_sm(whole[:cut])


async def test_message_cut_off_is_taken_and_dropped() -> None:
    answers: list[Pdu] = []

    async def fault(client: Connection) -> None:
        await take(client)
        await client.write(bytes(Pdu(Command.DELIVER_SM, 0, 1, b"\0")))
        answers.append(await Pdu.read(client._reader))
        pdu = await Pdu.read(client._reader)
        await client.write(bytes(pdu.answer(0, b"1\0")))
        await stay(client)

    async with FaultServer(fault) as server, provided(port(server.url)) as provider:
        await provider._bind.session()
        await until(lambda: bool(answers))
        assert (await provider.send(message())).outcome is Outcome.ACCEPTED
    assert answers == [Pdu(0x80000005, 0, 1, b"\0")]


async def test_http_brings_none() -> None:
    provider = Smpp("smpp", ProviderSettings(type="smpp", options=OPTIONS), Transport())
    assert (provider.signs_receipts, provider.receipts(callback("https://otp.example.com", b"{}"))) == (
        False,
        (),
    )


# --- settings


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"password": None}, "password: required"),
        ({"host": "smsc.example.com:2775/x"}, "host: must be a host name or an IP address"),
        ({"alphabet": "utf-8"}, "alphabet: must be 'gsm', 'ascii' or 'latin-1'"),
        ({"receipt_ids": "roman"}, "receipt_ids: must be 'same' or 'decimal'"),
    ],
)
async def test_fault_says_what_is_allowed(options: dict[str, Any], fault: str) -> None:
    given = {key: value for key, value in (OPTIONS | options).items() if value is not None}
    assert faults("sms", ProviderSettings(type="smpp", options=given)) == [f"providers.sms.{fault}"]


async def test_password_number_and_text_are_nowhere(provider: Smpp) -> None:
    answer = await provider.send(message())
    body = bind_transceiver("acme", "s3cret", "")
    shown = repr([answer, provider._options, Pdu(9, 0, 1, body), parts("0123456789", "gsm", 0)])
    assert not [secret for secret in ("s3cret", "37256000000", "0123456789") if secret in shown]
