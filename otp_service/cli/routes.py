"""Routes: ``routes explain``."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from otp_service.cli.configuration import ConfigOption, read_settings
from otp_service.errors import Problem
from otp_service.explain import explain

routes_app = typer.Typer(help="Which providers a number is sent through.", no_args_is_help=True)


@routes_app.callback()
def _group() -> None:
    """Keeps ``explain`` a command of its own while it is the only one."""


@routes_app.command("explain")
def explain_route(
    number: Annotated[str, typer.Argument(help="E.164, with the plus sign.")],
    *,
    config: ConfigOption = None,
    app_name: Annotated[
        str | None, typer.Option("--app", help="Whose route, where there are several apps.")
    ] = None,
) -> None:
    """Say which providers a number would be sent through now, and why; nothing is sent."""
    settings = read_settings(config)
    settings.require_serving()
    try:
        typer.echo(asyncio.run(explain(settings, app_name, number)))
    except Problem as problem:
        typer.echo(problem.detail, err=True)
        raise typer.Exit(1) from None
