"""The command line: ``otp-service …``."""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from otp_service import dev as dev_
from otp_service import doctor, provision
from otp_service import serve as serve_
from otp_service.delivery import providers
from otp_service.embedded import NoServer
from otp_service.messages import template_faults
from otp_service.settings import SCOPES, Settings, SettingsError, example, load, not_in_force, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Commands(TyperGroup):
    """Tells on standard error why a command cannot run, and ends with 2 for a configuration, else with 1."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's own context
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            for fault in error.faults:
                typer.echo(fault, err=True)
            raise typer.Exit(2) from None
        except (NoServer, serve_.RedisUnreachable) as error:
            typer.echo(error, err=True)
            raise typer.Exit(1) from None


# pretty_exceptions_enable: a traceback that shows local variables would show keys.
app = typer.Typer(
    cls=_Commands,
    help="Proves that a person holds a phone number.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="The configuration.", no_args_is_help=True)
keys_app = typer.Typer(help="API keys of apps; to revoke one, delete its line.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(keys_app, name="keys")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The TOML file, in place of the one that OTP_CONFIG names.")
]


def read_settings(config: Path | None) -> Settings:
    """The configuration that this process was given, checked by all rooms.

    Raises:
        SettingsError: Names every fault.
    """
    return load(os.environ, config, _provider_faults, _template_faults)


def _provider_faults(settings: Settings) -> Iterator[str]:
    for name, section in settings.providers.items():
        yield from providers.faults(name, section)


def _template_faults(settings: Settings) -> Iterator[str]:
    for app_ in settings.apps.values():
        for tag, text in app_.templates.items():
            for fault in template_faults(text, app_.brand, autofill_hosts=app_.autofill_hosts):
                yield f"apps.{app_.name}.templates.{tag}: {fault}"
        for tag, text in app_.transaction_templates.items():
            for fault in template_faults(text, app_.brand, transaction=True):
                yield f"apps.{app_.name}.transaction_templates.{tag}: {fault}"


@app.command()
def demo() -> None:
    """Tell the whole story in one process: failover, message, checks and proof."""
    try:
        from otp_service.demo import DemoFailed, demo  # noqa: PLC0415 - it needs the client, which is an extra
    except ModuleNotFoundError as missing:
        if missing.name != "otp_client":
            raise
        typer.echo('The demo needs the Python client: pip install "otp-service[dev]"', err=True)
        raise typer.Exit(1) from None
    try:
        demo()
    except DemoFailed as failed:
        typer.echo(failed, err=True)
        raise typer.Exit(1) from None


@app.command()
def dev(
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 for a free one.")] = 8000,
) -> None:
    """Run a service to develop against, with an inbox in place of phones."""
    dev_.dev(port)


@app.command()
def serve(
    *,
    config: ConfigOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that serve.")] = 1,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Leave that to `otp-service worker`.")
    ] = False,
    drain_seconds: Annotated[
        float,
        typer.Option(min=0, max=300, help="Serve on so long after SIGTERM, with /readyz at 503."),
    ] = 0,
) -> None:
    """Serve the API, and do the worker's part too; SIGHUP reads the configuration again."""
    serve_.serve(
        partial(read_settings, config),
        host=host,
        port=port,
        workers=workers,
        work=not no_worker,
        drain_seconds=drain_seconds,
    )


@app.command()
def worker(config: ConfigOption = None) -> None:
    """Do what goes on without a caller, such as sends that failed receipts made due."""
    serve_.work(partial(read_settings, config))


@app.command("doctor")
def diagnose(
    *,
    config: ConfigOption = None,
    send_to: Annotated[
        str | None, typer.Option("--send-to", help="Also send a real message to this number.")
    ] = None,
    app_name: Annotated[
        str | None, typer.Option("--app", help="Through whose route, where there are several apps.")
    ] = None,
) -> None:
    """Say what is wrong with this deployment, and how to mend it."""
    if not asyncio.run(_healthy(partial(read_settings, config), send_to, app_name)):
        raise typer.Exit(1)


async def _healthy(read: Callable[[], Settings], send_to: str | None, app_name: str | None) -> bool:
    """Print every finding; whether none is a failure."""
    levels = set()
    async for finding in doctor.examine(read):
        typer.echo(finding)
        levels.add(finding.level)
    if send_to and doctor.Level.FAIL not in levels:
        async for finding in doctor.send(read(), app_name, send_to):
            typer.echo(finding)
            levels.add(finding.level)
    return doctor.Level.FAIL not in levels


@app.command()
def init(
    *,
    countries: Annotated[str, typer.Option(help='ISO 3166 codes to send to, such as EE,DE; "*" for all.')],
    app_name: Annotated[str, typer.Option("--app", help="Name of the first app.")] = "web",
    brand: Annotated[str, typer.Option(help="The app as its users know it.")] = "Acme",
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("otp.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file and the keys in it.")] = False,
) -> None:
    """Write a configuration with fresh keys, and print the first API keys once."""
    regions = [region.strip().upper() for region in countries.split(",")]
    console: dict[str, Any] = {
        "providers": {"console": {}},
        "routes": {"default": {"providers": ["console"]}},
    }
    settle(console | {"apps": {app_name: {"brand": brand, "countries": regions}}}, environ={})
    live, test = (provision.api_key(live=live, scopes=SCOPES) for live in (True, False))
    _write_private(output, provision.configuration(app_name, brand, regions, (live, test)), force=force)
    typer.echo(
        f"Wrote {output}, readable by you alone: it holds the key ring. Keep a copy in a safe place.\n"
    )
    typer.echo(f"API keys of app {app_name}, shown this once:\n  {live.key}\n  {test.key}\n")
    typer.echo("Next: set redis_url and public_url, name a real provider in place of console, then run")
    typer.echo(f"  otp-service config check --config {output}\n  otp-service serve --config {output}")


@config_app.command()
def check(config: ConfigOption = None) -> None:
    """Say whether the configuration can be used, or all that is wrong with it."""
    settings = read_settings(config)
    keys = sum(len(each.keys) for each in settings.apps.values())
    counts = {"app": len(settings.apps), "key": keys, "route": len(settings.routes)}
    counts["provider"] = len(settings.providers)
    typer.echo("ok: " + ", ".join(f"{count} {noun}{'s' * (count != 1)}" for noun, count in counts.items()))
    for sentence in not_in_force(settings):
        typer.echo(f"note: {sentence}", err=True)
    try:
        settings.require_serving()
    except SettingsError as missing:
        for fault in missing.faults:
            typer.echo(f"note: {fault}", err=True)


@config_app.command("example")
def print_example() -> None:
    """Print a configuration with every setting, its default and what it is for."""
    typer.echo(example(), nl=False)


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
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table("app", "id", "kind", "scopes")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _write_private(path: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner can read; an old one is replaced whole, or not at all."""
    draft = path.with_name(f".{path.name}.new") if force else path
    try:
        if force:
            draft.unlink(missing_ok=True)
        # O_EXCL: neither an old file nor a link that someone left there is written through.
        with os.fdopen(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
        draft.replace(path)
    except FileExistsError:
        fault = f"{draft}: is there already; --force replaces otp.toml and every key in it"
    except OSError as error:
        fault = f"{draft}: cannot be written: {error.strerror}"
    else:
        return
    raise SettingsError((fault,))


def main() -> None:
    """Run the command line."""
    app()
