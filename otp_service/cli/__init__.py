"""The command line: ``otp-service …``."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from otp_service import dev as dev_
from otp_service import doctor
from otp_service import serve as serve_
from otp_service.cli.configuration import ConfigOption, config_app, init, read_settings
from otp_service.cli.guard import forget, guard_app
from otp_service.cli.keys import keys_app
from otp_service.cli.routes import routes_app
from otp_service.cli.send import send
from otp_service.embedded import NoServer
from otp_service.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from otp_service.settings import Settings

__all__ = ["app", "main"]


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
app.add_typer(config_app, name="config")
app.add_typer(guard_app, name="guard")
app.add_typer(keys_app, name="keys")
app.add_typer(routes_app, name="routes")
app.command()(forget)
app.command()(init)
app.command()(send)


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


def main() -> None:
    """Run the command line."""
    app()
