"""What `otp-service serve` needs in a test: a Redis that keeps things, a provider, a configuration, a key."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from otp_service import provision
from tests import command, servers

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Vendor:
    """A provider on loopback: keeps every text, and answers once the gate is open."""

    url: str = ""
    texts: list[str] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Deployment:
    """What a service needs: a Redis that keeps things, a provider, a configuration and a key for it."""

    redis: servers.Server
    vendor: Vendor
    config: Path
    key: str

    @contextmanager
    def serving(self, *options: str, **environ: str) -> Iterator[Serving]:
        arguments = ("serve", "--config", str(self.config), "--port", "0", *options)
        metrics = f"127.0.0.1:{command.free_port()}"
        environ = {"OTP_REDIS_URL": self.redis.url, "OTP_METRICS_LISTEN": metrics} | environ
        with command.started(*arguments, **environ) as made:
            url = made.wait_for(r"Serving on (http://[^\s,]+)")[1]
            bearer = {"Authorization": f"Bearer {self.key}"}
            with httpx.Client(
                base_url=url, headers=bearer, timeout=command.PATIENCE, trust_env=False
            ) as http:
                yield Serving(made, http, environ["OTP_METRICS_LISTEN"])


@dataclass(frozen=True)
class Serving:
    """A running service and a client of it."""

    command: command.Command
    http: httpx.Client
    metrics: str
    """Where Prometheus reads."""

    def post(self, path: str, **body: Any) -> httpx.Response:
        # Each on a connection of its own, so that any process may take it: a kept one belongs to its process.
        with httpx.Client(
            base_url=self.http.base_url,
            headers=self.http.headers,
            timeout=command.PATIENCE,
            trust_env=False,
        ) as own:
            return own.post(f"/v1/verifications/{path}", json=body)

    def processes(self) -> list[int]:
        """Of those that serve."""
        pid = self.command.process.pid
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@contextmanager
def deployed(directory: Path) -> Iterator[Deployment]:
    with ExitStack() as stack:
        redis = stack.enter_context(servers.embedded(appendonly=True))
        vendor = stack.enter_context(_sending())
        key = provision.api_key(live=True, scopes={"verify"})
        text = provision.configuration("web", "Acme", ["EE"], [key])
        text = text.replace('providers = ["console"]', 'providers = ["smspm"]')
        text += f'\n[providers.smspm]\nbase_url = "{vendor.url}"\nhash = "h"\ntoken = "t"\n'
        text += '\n[apps.web.limits]\nsends_per_block = ["100000/1h"]\nunconverted_per_region = 100000\n'
        config = directory / "otp.toml"
        config.write_text(text, "utf-8")
        yield Deployment(redis, vendor, config, key.key)


@contextmanager
def _sending() -> Iterator[Vendor]:
    vendor = Vendor()
    vendor.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            vendor.texts.append(body["text"])
            vendor.asked.set()
            vendor.gate.wait(command.PATIENCE)
            answer = b'{"status": "success", "messageId": "m1"}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        vendor.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield vendor
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def closed(vendor: Vendor) -> Iterator[None]:
    """The vendor keeps its answers back."""
    vendor.asked.clear()
    vendor.gate.clear()
    try:
        yield
    finally:
        vendor.gate.set()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
