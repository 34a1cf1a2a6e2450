"""`otp-service doctor` finds what is wrong with a deployment, says how to mend it, and changes nothing."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from otp_service import doctor, provision
from otp_service.cli import app
from otp_service.settings import SettingsError, settle
from tests import command, servers
from tests.lab import SEED, key_line, merge, tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


NUMBER = "+37256789045"


@pytest.fixture(scope="module")
def keeping() -> Iterator[servers.Server]:
    """A Redis as it should be."""
    with servers.embedded(appendonly=True) as server:
        yield server


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that nobody else signed, and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "vendor")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "vendor.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture(scope="module")
def vendor(authority: Path) -> Iterator[str]:
    """A provider over TLS that takes every message."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answer = b'{"status": "success", "messageId": "m1"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that trusts nobody hangs up in the handshake: that is the test."""

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def sound(keeping: servers.Server, vendor: str, authority: Path) -> dict[str, Any]:
    """A deployment with which nothing is wrong."""
    keeping.flush()
    changes = {
        "public_url": "https://otp.example.com",
        "hash_profile": "owasp",
        "allow_unsafe_redis": False,
        "routes": {"default": {"providers": ["smspm"]}},
        "providers": {
            "smspm": {"base_url": vendor, "ca_file": str(authority), "hash": "sesame", "token": "open sesame"}
        },
    }
    found = merge(tables(keeping.url), changes)
    return found | {"apps": {"web": found["apps"]["web"]}}


async def findings(deployment: dict[str, Any], ahead: float = 0) -> list[str]:
    read = partial(settle, deployment, {})
    return [str(each) async for each in doctor.examine(read, lambda: time.time() + ahead)]


def bad(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("ok")]


async def test_nothing_is_wrong_with_a_sound_deployment(sound: dict[str, Any]) -> None:
    found = await findings(sound)

    assert bad(found) == []
    assert len(found) > 8


async def test_it_writes_nothing_to_redis(sound: dict[str, Any], keeping: servers.Server) -> None:
    await findings(sound)

    assert keeping.names() == []


async def test_it_prints_no_secret(sound: dict[str, Any]) -> None:
    shown = "\n".join(await findings(sound))

    assert [secret for secret in ("sesame", SEED, key_line("live1", "live")[7:]) if secret in shown] == []


PLANTED: dict[str, tuple[dict[str, Any], str]] = {
    "a name that no name server needs to be asked for": (
        {"providers": {"smspm": {"base_url": f"https://{'x' * 64}.example"}}},
        ".example:443 has no address; correct base_url",
    ),
    "another authority": (
        {"providers": {"smspm": {"ca_file": None}}},
        "shows a certificate we do not trust (self-signed certificate); set ca_file",
    ),
    "an SMSC without an address": (
        {
            "routes": {"default": {"providers": ["smpp"]}},
            "providers": {"smpp": {"host": f"{'x' * 64}.example", "system_id": "a", "password": "b"}},
        },
        ".example:3550 has no address; correct host",
    ),
    "a mail gateway without an address": (
        {
            "routes": {"default": {"providers": ["smtp"]}},
            "providers": {"smtp": {"host": f"{'x' * 64}.example", "mail_from": "otp@example.com"}},
        },
        ".example:587 has no address; correct host",
    ),
    "services that nobody can ask": (
        {
            "routes": {"default": {"providers": ["apprise"]}},
            "providers": {"apprise": {"urls": ["sinch://a:b@{to}"]}},
        },
        "warn  providers.apprise: only a message shows whether it is reached; send one with --send-to",
    ),
    "test keys only": (
        {"apps": {"web": {"keys": [key_line("web1")]}}},
        "warn  apps.web: has test keys only, which reach nobody; run otp-service keys create",
    ),
    "every country": (
        {"apps": {"web": {"countries": ["*"]}}},
        "warn  apps.web: sends to every country, which invites pumping; list those you serve",
    ),
    "receipts for loopback": (
        {"public_url": "http://127.0.0.1:8000"},
        "fail  providers.smspm: its receipts cannot reach loopback; set public_url",
    ),
    "a route to nobody": (
        {"routes": {"default": {"providers": ["console"]}}, "providers": {"console": {}}},
        "warn  providers.console: reaches nobody; put a real provider into its route",
    ),
    "a provider without a route": (
        {"providers": {"spare": {"type": "smspm", "hash": "h", "token": "t"}}},
        "warn  providers.spare: no app's route uses it; name it in a route, or delete it",
    ),
    "no key to open with": ({"keyring": []}, "fail  keyring: required to serve"),
    "two faults in the file": ({"hash_queue": -1}, "fail  hash_queue: must be a whole number from 0"),
    "a setting without effect": (
        {"operators": {"ann": {"key": "ab" * 32}}},
        "warn  operators is set but not in force",
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
async def test_it_finds_a_fault_of_the_configuration(sound: dict[str, Any], fault: str) -> None:
    changes, says = PLANTED[fault]
    found = "\n".join(bad(await findings(merge(sound, changes))))

    assert says in found


async def test_it_finds_receipts_that_nothing_proves(sound: dict[str, Any], vendor: str) -> None:
    account = {"account_sid": f"AC{'0' * 32}", "api_key_sid": f"SK{'0' * 32}", "api_key_secret": "sesame"}
    common = {key: sound["providers"]["smspm"][key] for key in ("base_url", "ca_file")}
    keyed = merge(sound, {"routes": {"default": {"providers": ["twilio"]}}})
    found = await findings(keyed | {"providers": {"twilio": common | account}})

    assert bad(found) == [
        (
            "warn  providers.twilio: takes no receipts, so what is lost is not sent again; "
            "set its signing secret, if it has one"
        )
    ]


async def test_it_finds_a_closed_port(sound: dict[str, Any]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{nobody.getsockname()[1]}"
        found = bad(await findings(merge(sound, {"providers": {"smspm": {"base_url": url}}})))

    assert found[0].endswith("takes no connection (ConnectionRefusedError); open the firewall for it")


async def test_it_finds_plain_http_behind_https(sound: dict[str, Any], keeping: servers.Server) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"https://127.0.0.1:{server.server_port}"
        found = bad(await findings(merge(sound, {"providers": {"smspm": {"base_url": url}}})))
        thread.join()

    assert found[0].endswith("speaks no TLS that we do; correct the scheme of base_url")


@pytest.mark.parametrize(("ahead", "shown"), [(10, "-10"), (-10, "+10")])
async def test_it_finds_a_clock_that_is_off(sound: dict[str, Any], ahead: float, shown: str) -> None:
    says = f"warn  redis: its clock differs from this one by {shown} s; run NTP on both machines"

    assert bad(await findings(sound, ahead)) == [says]


async def test_it_finds_the_data_of_another_index_key(sound: dict[str, Any], keeping: servers.Server) -> None:
    keeping.run("HSET", "otp:meta", "index_key", "another", "schema", "0")

    assert bad(await findings(sound)) == [
        "fail  redis: holds the data of another schema; set it back, or use an empty Redis",
        "fail  redis: holds the data of another index_key; set it back, or use an empty Redis",
    ]


async def test_it_finds_a_redis_that_is_down(sound: dict[str, Any]) -> None:
    found = bad(await findings(sound | {"redis_url": "unix:///nowhere/redis.sock"}))

    assert found == [
        "fail  redis: does not answer (ConnectionError); start it, or correct redis_url or its password"
    ]


RISKY: dict[str, tuple[tuple[str, ...], bool, str]] = {
    "it may evict": (
        ("--maxmemory-policy", "allkeys-lru"),
        True,
        "fail  redis: allkeys-lru may evict live codes and budgets; set maxmemory-policy noeviction",
    ),
    "it keeps nothing": (
        (),
        False,
        "fail  redis: nothing is persisted, so a restart forgets every budget; set appendonly yes",
    ),
    "it keeps snapshots": (
        ("--save", "3600 1"),
        False,
        "warn  redis: keeps snapshots only, and forgets what came after the last; set appendonly yes",
    ),
    "it is full": (("--maxmemory", "1mb"), True, "of maxmemory is used; raise maxmemory"),
    "it does not tell": (
        ("--rename-command", "INFO", ""),
        True,
        "warn  redis: INFO is not allowed, so version, policy and memory were not checked; allow +info",
    ),
}


@pytest.mark.parametrize("risk", RISKY)
async def test_it_finds_a_risk_of_redis(sound: dict[str, Any], risk: str) -> None:
    options, keeps, says = RISKY[risk]
    with servers.embedded(appendonly=keeps, options=options) as server:
        found = bad(await findings(sound | {"redis_url": server.url}))

    assert len(found) == 1
    assert says in found[0]


async def test_a_risk_that_was_allowed_is_a_warning(sound: dict[str, Any]) -> None:
    with servers.embedded(options=("--maxmemory-policy", "allkeys-lru")) as server:
        changes = {"redis_url": server.url, "allow_unsafe_redis": True}
        found = bad(await findings(sound | changes))

    assert [line[:4] for line in found] == ["warn", "warn"]


async def test_it_reads_a_cluster(sound: dict[str, Any], cluster_server: servers.Server) -> None:
    cluster_server.flush()
    found = await findings(sound | {"redis_url": cluster_server.url, "allow_unsafe_redis": True})

    assert [line for line in found if line.startswith("fail")] == []
    assert sum("redis: valkey " in line for line in found) in {1, 3}


async def test_a_message_is_sent_through_the_route_and_each_try_is_shown(sound: dict[str, Any]) -> None:
    chain = {"down": {"type": "smspm", "base_url": "https://127.0.0.1:1", "hash": "h", "token": "t"}}
    both = merge(sound, {"providers": chain, "routes": {"default": {"providers": ["down", "smspm"]}}})
    found = [str(each) async for each in doctor.send(settle(both, {}), None, NUMBER)]

    assert [line.rpartition(",")[0] for line in found] == [
        "fail  send to +372*****045 through down: unavailable connect_failed",
        "ok    send to +372*****045 through smspm: accepted",
    ]


async def test_a_refused_message_says_why(sound: dict[str, Any]) -> None:
    found = [str(each) async for each in doctor.send(settle(sound, {}), "web", "+447400123456")]
    other = [str(each) async for each in doctor.send(settle(sound, {}), "web", "+33612345678")]

    assert len(found) == 1
    assert [line[:10] for line in other] == ["fail  send"]


async def test_a_number_that_is_none_is_told(sound: dict[str, Any]) -> None:
    found = [str(each) async for each in doctor.send(settle(sound, {}), "web", "nobody")]

    assert [line[:11] for line in found] == ["fail  send:"]


async def test_which_of_several_apps_must_be_said(sound: dict[str, Any]) -> None:
    two = sound | {
        "apps": sound["apps"] | {"other": sound["apps"]["web"] | {"keys": [key_line("o", "live")]}}
    }

    with pytest.raises(SettingsError, match=r"^--app: must be one of other, web$"):
        [each async for each in doctor.send(settle(two, {}), None, NUMBER)]


def test_the_command_finds_the_faults_of_sections_and_texts(tmp_path: Path) -> None:
    path = tmp_path / "otp.toml"
    text = provision.configuration("web", "Acme", ["EE"], [provision.api_key(live=True, scopes={"verify"})])
    text += '[providers.smspm]\ntoken = "sesame"\n[apps.web.templates]\nen = "{code} ' + "x" * 160 + '"\n'
    path.write_text(text, "utf-8")
    ended = CliRunner().invoke(app, ["doctor", "--config", str(path)], env={"OTP_CONFIG": None})

    assert [line.split(": ")[0] for line in ended.stdout.splitlines()] == [
        "fail  providers.smspm.hash",
        "fail  apps.web.templates.en",
    ]
    assert "sesame" not in ended.stdout


def test_the_command_ends_with_1_when_something_fails(tmp_path: Path) -> None:
    path = tmp_path / "otp.toml"
    path.write_text(provision.configuration("web", "Acme", ["EE"], []), "utf-8")
    ended = CliRunner().invoke(app, ["doctor", "--config", str(path)], env={"OTP_CONFIG": None})

    assert ended.exit_code == 1
    assert "fail  apps.web.keys: required to serve" in ended.stdout


def test_the_command_ends_with_0_when_nothing_fails(tmp_path: Path, keeping: servers.Server) -> None:
    keeping.flush()
    path = tmp_path / "otp.toml"
    key = provision.api_key(live=True, scopes={"verify"})
    path.write_text(provision.configuration("web", "Acme", ["EE"], [key]), "utf-8")
    ended = command.run("doctor", "--config", str(path), "--send-to", NUMBER, OTP_REDIS_URL=keeping.url)

    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("ok    send to +372*****045 through console: accepted")
