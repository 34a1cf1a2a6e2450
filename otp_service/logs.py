"""How the log reads: one JSON object a line, or lines for people where a terminal reads them.

Nothing else logs in a special way: a record's message is text, or an event, which is taken apart here. So
what libraries log reads the same.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import structlog

from otp_service.events import Event

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor


def formatter(*, json: bool | None = None) -> structlog.stdlib.ProcessorFormatter:
    """What ``logging`` formats records with.

    Args:
        json: Whether to write JSON; by default where standard error is no terminal.
    """
    if json is None:
        json = not sys.stderr.isatty()
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        *(_JSON if json else _PEOPLE),
    ]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=last)


def _taken_apart(_: object, __: str, fields: EventDict) -> EventDict:
    event = fields["_record"].msg
    if isinstance(event, Event):
        fields.update(event=type(event).__name__, **event.fields())
    return fields


_SHARED: Final[list[Processor]] = [
    _taken_apart,
    structlog.contextvars.merge_contextvars,  # the request id, which the edge binds
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

_JSON: Final[list[Processor]] = [
    structlog.processors.format_exc_info,  # a traceback as one string, without the values of variables
    structlog.processors.JSONRenderer(),
]

# structlog's own choice shows the variables of each frame: codes and keys are among them.
_PEOPLE: Final[list[Processor]] = [
    structlog.dev.ConsoleRenderer(
        colors="NO_COLOR" not in os.environ, exception_formatter=structlog.dev.plain_traceback
    )
]
