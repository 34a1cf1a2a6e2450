"""The whole story in one process: `otp-service demo`."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx
import jwt
import uvicorn
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from otp_client import Client, Closed, OtpError
from otp_service import provision
from otp_service.app import create_app
from otp_service.delivery.courier import INBOX
from otp_service.dev import APP, HOST, throwaway, url_of
from otp_service.embedded import EmbeddedRedis, find_server
from otp_service.phone import mask
from otp_service.serve import listen, server_config
from otp_service.settings import SCOPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from otp_service.settings import Settings

NUMBER: Final = "+37256789045"
PURPOSE: Final = "login"
COLOURS: Final = {"accepted": "green", "approved": "green", "unavailable": "yellow", "pending": "yellow"}


class DemoFailed(RuntimeError):  # noqa: N818 - it says what is the matter
    """Something in the story did not go as it should; the text says what."""


def demo() -> None:
    """Tell the story on standard output.

    Raises:
        NoServer: There is no Redis to start.
        DemoFailed: A part of it did not go as it should.
    """
    out = Console(highlight=False)
    began = time.perf_counter()
    key = provision.api_key(live=True, scopes=SCOPES)
    with EmbeddedRedis(find_server(os.environ)) as redis, listen(HOST, 0) as listener, _dead_end() as nobody:
        logging.getLogger().addHandler(logging.NullHandler())  # the story is told here, not in the log
        url = url_of(listener)
        settings = throwaway(
            [key],
            {},
            redis_url=redis.url,
            public_url=url,
            routes={"default": {"providers": ["smspm", INBOX]}},
            providers={"smspm": {"base_url": nobody, "hash": "demo", "token": "demo"}, INBOX: {}},
        )
        app = create_app(settings)
        messages = app.state.service.providers[INBOX].inbox
        # The environment may name a proxy, which has no way to this loopback.
        with _served(settings, app, listener), httpx.Client(trust_env=False) as http:
            out.print(f"[b]otp-service[/] at {url}, with a Redis of its own\n")
            try:
                proof = _login(Client(url, key.key, http_client=http), lambda: messages[-1].text, out)
                _verify(proof, http.get(f"{url}/.well-known/jwks.json").json(), url, out)
            except (OtpError, httpx.HTTPError, jwt.PyJWTError) as error:
                raise DemoFailed(f"The demo failed: {error}") from error
    out.print(f"\nAll of it worked, in {time.perf_counter() - began:.1f} s.")


def _login(client: Client, newest_message: Callable[[], str], out: Console) -> str:
    """What an app and a person do, and the proof that comes of it."""
    out.print(f"[b]1. Start[/] a login of {mask(NUMBER)}; the first provider is down")
    started = client.start(NUMBER, purpose=PURPOSE, locale="en")
    for each in started.deliveries:
        outcome = _coloured(f"{each.outcome:<13}", each.outcome)
        out.print(f"     {each.provider:<9}{outcome}{each.reason:<16}{each.latency_ms:>4} ms")
    _expect([each.outcome for each in started.deliveries] == ["unavailable", "accepted"], "a failover")

    text = newest_message()
    out.print("[b]2. Read[/] the message, as a phone shows it")
    out.print(Padding(Panel.fit(Text(text)), (0, 0, 0, 5), expand=False))
    code = "".join(re.findall(r"\b\d{6}\b", text)[:1])
    wrong = f"{(int(code or 0) + 1) % 1_000_000:06d}"

    check = client.check(started.id, wrong, purpose=PURPOSE)
    status = _coloured(check.status, check.status)
    out.print(f"[b]3. Check[/] {wrong}, a wrong code: {status}, {check.checks_left} checks left")
    _expect((check.approved, check.checks_left) == (False, 4), "one of five checks to be spent")

    check = client.check(started.id, code, purpose=PURPOSE)
    out.print(f"[b]4. Check[/] {code}, the right one: {_coloured(check.status, check.status)}")
    _expect(check.approved and check.proof is not None, "an approval with a proof")

    try:
        client.check(started.id, code, purpose=PURPOSE)
    except Closed as closed:
        out.print(f"[b]5. Check[/] {code} once more: refused, {closed.status} {closed.code}")
    else:
        _expect(False, "a code to work once only")
    return check.proof or ""


def _verify(proof: str, jwks: dict[str, Any], url: str, out: Console) -> None:
    """What another back end does with the proof: no call, no shared secret."""
    key = jwt.PyJWKSet.from_dict(jwks)[jwt.get_unverified_header(proof)["kid"]]
    claims = jwt.decode(proof, key, algorithms=["EdDSA"], audience=APP, issuer=url)
    _expect((claims["sub"], claims["purpose"]) == (NUMBER, PURPOSE), "a proof of this number and purpose")
    out.print("[b]6. Verify[/] the signed proof offline, with the public keys alone")
    for name, value in (claims | {"sub": mask(claims["sub"])}).items():
        if name in ("iss", "aud", "sub", "purpose"):
            out.print(f"     {name:<9}{value}")


def _expect(came: bool, what: str) -> None:  # noqa: FBT001 - a condition, as of an assertion
    if not came:
        raise DemoFailed(f"The demo failed: expected {what}.")


def _coloured(text: str, status: str) -> str:
    return f"[{COLOURS.get(status, 'red')}]{text}[/]"


@contextmanager
def _served(settings: Settings, app: FastAPI, listener: socket.socket) -> Iterator[None]:
    """The service on a thread of its own, so that the story can be told from outside, as a caller sees it."""
    server = uvicorn.Server(server_config(settings, app, log_config=None))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        while not server.started:
            _expect(thread.is_alive(), "the service to start")
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def _dead_end() -> Iterator[str]:
    """The URL of a port that nobody listens on, and nobody else can take."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield url_of(taken)
