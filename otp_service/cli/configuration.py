"""The configuration: ``init``, ``config check`` and ``config example``; and how every command reads it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otp_service import provision
from otp_service.delivery import providers
from otp_service.messages import LANGUAGES, template_faults
from otp_service.settings import SCOPES, Settings, SettingsError, example, load, not_in_force, settle

if TYPE_CHECKING:
    from collections.abc import Iterator

config_app = typer.Typer(help="The configuration.", no_args_is_help=True)

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
        read = partial(template_faults, brand=app_.brand, autofill_hosts=app_.autofill_hosts)
        last_resort = LANGUAGES["en"].code
        found = [("autofill_hosts", read(last_resort))] if "en" not in app_.templates else []
        found += [(f"templates.{tag}", read(text)) for tag, text in app_.templates.items()]
        found += [
            (f"transaction_templates.{tag}", read(text, transaction=True))
            for tag, text in app_.transaction_templates.items()
        ]
        yield from (f"apps.{app_.name}.{key}: {fault}" for key, faults in found for fault in faults)


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
