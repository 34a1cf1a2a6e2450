"""The guard: ``guard lock``, ``guard unlock``, ``guard why``; and ``forget``."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from otp_service import desk
from otp_service.cli.configuration import ConfigOption, read_settings
from otp_service.cli.table import show
from otp_service.errors import Problem
from otp_service.phone import mask, parse
from otp_service.settings import SettingsError
from otp_service.standing import why

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from otp_service.service import Service

T = TypeVar("T")

guard_app = typer.Typer(help="What stands between a number and its next code.", no_args_is_help=True)

NumberArgument = Annotated[str, typer.Argument(help="E.164, with the plus sign; or its first digits.")]
AppOption = Annotated[str | None, typer.Option("--app", help="Whose rules, where there are several apps.")]

_UNITS_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_REASON: Final = 80


@guard_app.command("lock")
def lock(
    number: NumberArgument,
    *,
    lasts: Annotated[str | None, typer.Option("--for", help="Such as 12h; else until unlocked.")] = None,
    reason: Annotated[str, typer.Option(help="For other operators; never a number.")] = "",
    config: ConfigOption = None,
) -> None:
    """Send no codes to a number, or to any that begins with a prefix."""
    lasts_ms = _duration(lasts)
    if len(reason) > _LONGEST_REASON or not reason.isprintable() or re.search(r"\d{6}", reason):
        raise SettingsError((f"--reason: must be at most {_LONGEST_REASON} characters, and hold no number",))
    typer.echo(_with(config, lambda service: desk.lock(service, number, lasts_ms, reason)))


@guard_app.command("unlock")
def unlock(number: NumberArgument, *, config: ConfigOption = None) -> None:
    """Lift a lock and a closed block; for a whole number its budgets and failed checks too."""
    typer.echo("\n".join(_with(config, lambda service: desk.unlock(service, number))))


@guard_app.command("why")
def explain(number: NumberArgument, *, app_name: AppOption = None, config: ConfigOption = None) -> None:
    """Say what each rule would answer to a start for a number now; nothing changes."""

    async def rows(service: Service) -> list[tuple[str, str, str, str]]:
        app = service.settings.app(app_name)
        lines = [line async for line in why(service, app, number)]
        return [(line.rule, line.figure, line.limit, line.verdict) for line in lines]

    show(("rule", "figure", "limit", "verdict"), _with(config, rows))


def forget(
    number: Annotated[str, typer.Argument(help="E.164, with the plus sign.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Erase every verification of a number; what keeps it within its limits stays until it lapses."""
    if not yes:
        typer.confirm(f"Erase every verification of {_masked(number)}?", abort=True)
    typer.echo("\n".join(_with(config, lambda service: desk.forget(service, number))))


def _with(config: Path | None, do: Callable[[Service], Awaitable[T]]) -> T:
    """Do something with the service of a configuration."""
    settings = read_settings(config)
    settings.require_serving()

    async def doing() -> T:
        async with desk.opened(settings) as service:
            return await do(service)

    try:
        return asyncio.run(doing())
    except Problem as problem:
        typer.echo(problem.detail, err=True)
        raise typer.Exit(1) from None


def _masked(number: str) -> str:
    try:
        return mask(parse(number).e164)
    except Problem as problem:
        typer.echo(problem.detail, err=True)
        raise typer.Exit(1) from None


def _duration(text: str | None) -> int | None:
    """Milliseconds; None for no end."""
    if text is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", text)
    if not found:
        raise SettingsError(("--for: must be a number with s, m, h or d, such as 12h",))
    return int(found[1]) * _UNITS_MS[found[2]]
