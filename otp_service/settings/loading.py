"""Reading the configuration: all of it, with all its faults at once."""

from __future__ import annotations

import difflib
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from otp_service.settings.checks import conflicts
from otp_service.settings.settings import Settings, SettingsError
from otp_service.settings.sources import Sources, fields_at, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic_core import ErrorDetails

    from otp_service.settings.checks import Place

_TEXTS = {
    "missing": "required",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "tuple_type": "must be a list",
    "frozen_set_type": "must be a list",
    "string_type": "must be text",
    "bool_type": "must be true or false",
}
"""Words of pydantic on the left, those of a configuration on the right."""


def load(
    environ: Mapping[str, str],
    config: Path | None = None,
    *checks: Callable[[Settings], Iterable[str]],
) -> Settings:
    """Read the configuration: the environment is stronger than the file, the file than the defaults.

    Args:
        environ: ``OTP_…`` names, nested by ``__``; ``OTP_…_FILE`` names a file that holds the value. What is
            not text is JSON.
        config: The TOML file, in place of the one that ``OTP_CONFIG`` names.
        checks: Faults that only other rooms can tell, such as those of a provider's own options; each is
            called with all that is sound.

    Raises:
        SettingsError: Names every fault, by its setting, with what is allowed and never what was given.
    """
    return settle(tables(environ, config), environ, *checks)


def settle(
    given: Mapping[str, Any], environ: Mapping[str, str], *checks: Callable[[Settings], Iterable[str]]
) -> Settings:
    """``load`` for tables that were read already."""
    sources = Sources(given, environ)
    settings, errors = _validate(sources.tree)
    faults = dict(sources.faults)
    for error in errors:
        faults.setdefault(error["loc"], _text(error))
    routes, providers = (_names(sources.tree.get(key)) for key in ("routes", "providers"))
    found = [*faults.items()]
    found += (pair for pair in conflicts(settings, routes, providers) if pair[0] not in faults)
    lines = [f"{_dotted(place)}: {text}{_origin(place, sources.origins)}" for place, text in found]
    lines += [line for check in checks for line in check(settings)]
    if lines:
        raise SettingsError(tuple(lines))
    return settings


def example() -> str:
    """The commented file that shows every setting with its default."""
    return Path(__file__).with_name("example.toml").read_text("utf-8")


def _validate(tree: dict[str, Any]) -> tuple[Settings, list[ErrorDetails]]:
    """Everything sound, and the faults of the rest, which is taken out to see whether what is left agrees."""
    tree = deepcopy(tree)
    faults: list[ErrorDetails] = []
    while True:
        try:
            return Settings.model_validate(tree), faults
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
        faults = faults or found  # the later ones are about what was taken out
        for place in sorted({_standing(tree, fault["loc"]) for fault in found}, reverse=True):
            *above, last = place
            table: Any = tree
            for part in above:
                table = table[part]
            del table[last]


def _names(table: object) -> set[str]:
    return {*table} if isinstance(table, dict) else set()


def _standing(node: Any, place: Place) -> Place:  # noqa: ANN401 - whatever the sources hold
    """As much of the place as there is: a missing setting takes its table along."""
    for depth, part in enumerate(place):
        try:
            node = node[part]
        except (LookupError, TypeError):
            return place[:depth]
    return place


def _text(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "extra_forbidden":
        *table, name = error["loc"]
        near = difflib.get_close_matches(str(name), fields_at(tuple(table)), 1)
        return f"no such setting; did you mean {near[0]}?" if near else "no such setting"
    return _TEXTS.get(error["type"], error["msg"].replace("Input should be", "must be"))


def _dotted(place: Place) -> str:
    shown = [str(part) for part in place if part != "[key]"]  # pydantic's mark of a fault in a name
    if shown[2:3] == ["test_numbers"]:
        shown[3:4] = [f"…{number[-2:]}" for number in shown[3:4]]
    return ".".join(shown)


def _origin(place: Place, origins: Mapping[Place, str]) -> str:
    names = (origins.get(place[:depth]) for depth in range(len(place), 0, -1))
    return next((f" (from {name})" for name in names if name), "")
