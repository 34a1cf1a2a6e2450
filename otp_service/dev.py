"""A service to develop against: `otp-service dev`. Its Redis, its keys and its messages go when it goes."""

from __future__ import annotations

import logging.config
import os
import tomllib
from typing import TYPE_CHECKING, Any, Final

import typer

from otp_service import inbox, provision
from otp_service.app import create_app
from otp_service.delivery.courier import INBOX
from otp_service.embedded import EmbeddedRedis, find_server
from otp_service.login import Login
from otp_service.serve import LOG, end_on_signals, listen, run, server_config
from otp_service.settings import SCOPES, Settings, settle

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Mapping

    from fastapi import FastAPI

    from otp_service.provision import NewApiKey

HOST: Final = "127.0.0.1"
APP: Final = "web"

# Whoever tries things out starts for one number from one address all day.
NO_SEND_BUDGET: Final[dict[str, Any]] = {"sends_per_number": ()}
NO_BUDGETS: Final[dict[str, Any]] = NO_SEND_BUDGET | {
    "failed_checks_per_number": (),
    "live_verifications": None,
    "starts_per_address": (),
    "starts_per_session": (),
    "sends_per_block": (),
    "unconverted_per_region": None,
}

BANNER: Final = """\
A service to develop against. Messages go to the inbox, nobody's phone rings.

  Login     {url}/login
  API       {url}
  Inbox     {url}/inbox
  Live key  {live}
  Test key  {test}

Ask for a code, read it in the inbox, then check it (put in the id and the code):

  curl -s {url}/v1/verifications/start \\
    -H 'Authorization: Bearer {live}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"to": "+37256789045"}}'

  curl -s {url}/v1/verifications/ID/check \\
    -H 'Authorization: Bearer {live}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"code": "CODE"}}'

Ctrl-C stops it, and all of this is gone.
"""


def dev(port: int) -> None:
    """Serve on loopback until SIGINT or SIGTERM.

    Args:
        port: 0 for a free one.

    Raises:
        NoServer: There is no Redis to start.
        SettingsError: The port is taken.
        SystemExit: With 0 when it was told to stop.
    """
    end_on_signals()
    logging.config.dictConfig(LOG)
    with listen(HOST, port) as listener, EmbeddedRedis(find_server(os.environ)) as redis:
        live, test = (provision.api_key(live=live, scopes=SCOPES) for live in (True, False))
        url = url_of(listener)
        settings = throwaway(
            (live, test),
            {"limits": NO_BUDGETS},
            limits=NO_SEND_BUDGET,
            redis_url=redis.url,
            public_url=url,
        )
        app = create_app(settings)
        add_pages(app, url, live.key)
        typer.echo(BANNER.format(url=url, live=live.key, test=test.key))
        run(server_config(settings, app), listener)


def add_pages(app: FastAPI, url: str, key: str) -> None:
    """Put the inbox and the login page into a service; both answer on loopback only.

    Args:
        app: A service whose app is ``APP``.
        url: Its public URL.
        key: An API key of the app.
    """
    console = app.state.service.providers[INBOX]
    pages = inbox.router(console)
    pages.include_router(Login(app, url, APP, key, console).router())
    app.include_router(pages)


def throwaway(
    keys: Collection[NewApiKey],
    app: Mapping[str, Any],
    **tables: Any,  # noqa: ANN401 - whatever a configuration can hold
) -> Settings:
    """What ``otp-service init`` would write, for a service that lives as long as its Redis.

    Args:
        keys: Of the app ``APP``.
        app: More of the app's own table.
        tables: More of the configuration; ``redis_url`` and ``public_url`` at least.
    """
    made = tomllib.loads(provision.configuration(APP, "Acme", ["*"], keys))
    made["apps"][APP] |= app
    return settle(made | {"allow_unsafe_redis": True} | tables, environ={})


def url_of(listener: socket.socket) -> str:
    """Where a socket on loopback is called."""
    return f"http://{HOST}:{listener.getsockname()[1]}"
