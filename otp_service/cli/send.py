"""``send``: a plain text through a route, to one number or to many."""

from __future__ import annotations

import asyncio
import signal
import sys
import unicodedata
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from otp_service.cli.configuration import ConfigOption, read_settings
from otp_service.cli.table import show
from otp_service.phone import mask
from otp_service.segments import segments
from otp_service.sending import Content, Sending, arrived
from otp_service.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otp_service.sending import Recipient
    from otp_service.settings import RouteSettings, Settings
    from otp_service.verification import Delivery


def send(  # noqa: PLR0913 - each is an option of the command
    text: Annotated[str, typer.Argument(help="What the person reads.")],
    *,
    to: Annotated[list[str] | None, typer.Option(help="A number; give it again for more.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="A file with a number on each line; # begins a remark.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Country of numbers without a plus sign.")] = None,
    app_name: Annotated[
        str | None, typer.Option("--app", help="Whose countries count, where there are several apps.")
    ] = None,
    route_name: Annotated[str | None, typer.Option("--route", help="In place of the app's own.")] = None,
    media_url: Annotated[
        list[str] | None, typer.Option(help="A picture to go with it (MMS); give it again for more.")
    ] = None,
    carrier: Annotated[str, typer.Option(help="Who runs the numbers, for e-mail gateways.")] = "",
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Messages on their way at once.")] = 8,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out numbers that cannot be sent to.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before sending to several.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send a plain text through a route; exit 0 if all were taken, 1 if not, 2 if none was begun."""
    settings = read_settings(config)
    app = settings.app(app_name)
    content = Content(_text(text), _media(media_url or ()), carrier)
    sending = Sending(settings, app, _route(settings, route_name or app.route), content)
    given = [(f"--to:{count}", number) for count, number in enumerate(to or (), 1)]
    lines = [*given, *(_lines(file) if file else ())]
    recipients, faults = sending.recipients(lines, region.upper() if region else None)
    if faults and not skip_invalid:
        raise SettingsError((*faults, "Nothing was sent; --skip-invalid leaves these out."))
    for fault in faults:
        typer.echo(f"left out: {fault}", err=True)
    if not recipients:
        raise SettingsError(("--to or --file: must give a number to send to",))
    _announce(content.text, len(recipients))
    if len(recipients) > 1 and not yes and sys.stdin.isatty() and not typer.confirm("Send?", err=True):
        raise typer.Exit(2)
    tries = asyncio.run(_deliver(sending, recipients, concurrency))
    show(("line", "to", "provider", "outcome", "reason"), _rows(recipients, tries))
    if not _summed_up(len(recipients), tries):
        raise typer.Exit(1)


async def _deliver(
    sending: Sending, recipients: Sequence[Recipient], concurrency: int
) -> dict[Recipient, Sequence[Delivery]]:
    """The tries of every recipient whose turn came before Ctrl-C; a second one does not wait for them."""
    tries: dict[Recipient, Sequence[Delivery]] = {}
    loop = asyncio.get_running_loop()

    def stop() -> None:
        sending.stop()
        loop.remove_signal_handler(signal.SIGINT)
        typer.echo("Beginning no more; waiting for those under way.", err=True)

    loop.add_signal_handler(signal.SIGINT, stop)
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("Sending", total=len(recipients))

        def tell(recipient: Recipient, tried: Sequence[Delivery]) -> None:
            tries[recipient] = tried
            progress.advance(bar)

        await sending.deliver(recipients, concurrency=concurrency, tell=tell)
    loop.remove_signal_handler(signal.SIGINT)
    return tries


def _route(settings: Settings, name: str) -> RouteSettings:
    if name not in settings.routes:
        raise SettingsError((f"--route: must be one of {', '.join(sorted(settings.routes))}",))
    return settings.routes[name]


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of the command line that the locale cannot read
        raise SettingsError(("TEXT: must be text in the encoding of this terminal",)) from None
    if not text.strip():
        raise SettingsError(("TEXT: must not be empty",))
    return unicodedata.normalize("NFC", text)


def _media(urls: Sequence[str]) -> tuple[str, ...]:
    if not all(url.startswith(("https://", "http://")) for url in urls):
        raise SettingsError(("--media-url: must begin with https:// or http://",))
    return tuple(urls)


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise SettingsError((f"--file: cannot be read: {error.strerror}",)) from None
    except UnicodeDecodeError:
        raise SettingsError(("--file: must be text in UTF-8",)) from None
    for count, line in enumerate(lines, 1):
        if number := line.partition("#")[0].strip():
            yield f"{file.name}:{count}", number


def _announce(text: str, recipients: int) -> None:
    size = segments(text)
    typer.echo(
        f"{_counted(size.count, 'segment')} of {size.encoding} to {_counted(recipients, 'number')}"
        f" = {_counted(size.count * recipients, 'segment')}",
        err=True,
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _rows(
    recipients: Sequence[Recipient], tries: Mapping[Recipient, Sequence[Delivery]]
) -> Iterator[tuple[str, ...]]:
    """A row for each try, and one for each recipient whose turn did not come."""
    for recipient in recipients:
        here = (recipient.place, mask(recipient.phone.e164))
        for delivery in tries.get(recipient, ()):
            yield (*here, delivery.provider, delivery.outcome.value, delivery.reason)
        if recipient not in tries:
            yield (*here, "", "not_begun", "")


def _summed_up(recipients: int, tries: Mapping[Recipient, Sequence[Delivery]]) -> bool:
    """Say how many arrived, and whether all did."""
    sent = sum(arrived(each) for each in tries.values())
    rest = {"failed": len(tries) - sent, "not begun": recipients - len(tries)}
    typer.echo(
        ", ".join([f"sent {sent}", *(f"{word} {count}" for word, count in rest.items() if count)]), err=True
    )
    return sent == recipients
