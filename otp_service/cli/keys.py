"""API keys: ``keys create`` and ``keys list``."""

from __future__ import annotations

from typing import Annotated

import typer

from otp_service import provision
from otp_service.cli.configuration import ConfigOption, read_settings
from otp_service.cli.table import show
from otp_service.settings import SCOPES, SettingsError

keys_app = typer.Typer(help="API keys of apps; to revoke one, delete its line.", no_args_is_help=True)


@keys_app.command("create")
def create_key(
    *,
    app_name: Annotated[str, typer.Option("--app", help="The app that gets the key.")],
    test: Annotated[bool, typer.Option("--test", help="A key that never reaches a real provider.")] = False,
    scopes: Annotated[str, typer.Option(help="What it may do: verify, read or both.")] = "verify,read",
) -> None:
    """Print a new API key once, and the line that lets it in."""
    wanted = {scope.strip() for scope in scopes.split(",")}
    if not wanted <= SCOPES:
        raise SettingsError(("--scopes: must be verify, read or verify,read",))
    new = provision.api_key(live=not test, scopes=wanted)
    typer.echo(f"API key of app {app_name}, shown this once:\n  {new.key}\n")
    typer.echo(f"Add this line to keys = [...] of [apps.{app_name}] and load the configuration again:")
    typer.echo(f'  "{new.entry}",')


@keys_app.command("list")
def list_keys(config: ConfigOption = None) -> None:
    """Print app, id, live or test, and scopes of each API key; never a secret or its digest."""
    rows = [
        (each.name, key.id, "live" if key.live else "test", ",".join(sorted(key.scopes, reverse=True)))
        for each in read_settings(config).apps.values()
        for key in each.keys
    ]
    show(("app", "id", "kind", "scopes"), rows)
