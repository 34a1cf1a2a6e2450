"""Where settings come from: a TOML file, and the environment on top of it.

Merged by hand, because pydantic-settings neither reports an unknown ``OTP_`` name nor reads ``OTP_…_FILE``.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from otp_service.settings.sections import ProviderSettings
from otp_service.settings.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otp_service.settings.checks import Place

_PREFIX = "otp_"
_CONFIG = "otp_config"
_OTHERS = frozenset({_CONFIG, "otp_redis_server"})
"""Names of ours that are no settings: this file's own, and that of ``embedded``."""


class Sources:
    """All that was given, as one tree of tables; what could not be read is in ``faults``.

    Args:
        tables: What the file holds.
        environ: The environment; names are taken in any case.
    """

    def __init__(self, tables: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._mentioned: set[str] = set()
        self.faults: dict[Place, str] = {}
        self.origins: dict[Place, str] = {}
        self.tree: dict[str, Any] = self._resolve(dict(tables), ())
        for name in sorted(
            environ, key=lambda name: (name.count("__"), name)
        ):  # a table before what is in it
            if name.lower().startswith(_PREFIX) and name.lower() not in _OTHERS | self._mentioned:
                self._overlay(name)

    def _resolve(self, value: Any, place: Place) -> Any:  # noqa: ANN401 - whatever TOML can hold
        match value:
            case dict():
                return {key: self._resolve(below, (*place, key)) for key, below in value.items()}
            case list():
                return [self._resolve(below, (*place, index)) for index, below in enumerate(value)]
            case str() if value.startswith("env:"):
                text = self._variable(value.removeprefix("env:"), place)
            case str() if value.startswith("file:"):
                text = self._content(value.removeprefix("file:"), place)
            case _:
                return value
        return value if text is None else _decode(text, place)

    def _variable(self, name: str, place: Place) -> str | None:
        self._mentioned.add(name.lower())
        if name not in self._environ:
            # Whoever took the secret itself for its name would read it in the log.
            known_form = re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", name)
            self.faults[place] = f"the environment has no {name if known_form else 'variable of that name'}"
        return self._environ.get(name)

    def _content(self, path: str, place: Place) -> str | None:
        # Not the path, for the same reason.
        try:
            return Path(path).read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            self.faults[place] = f"the file that it names cannot be read: {error.strerror}"
        except ValueError:
            self.faults[place] = "the file that it names is not UTF-8 text"
        return None

    def _overlay(self, name: str) -> None:
        place: Place = tuple(name.lower().removeprefix(_PREFIX).split("__"))
        in_file = name.lower().endswith("_file") and place[-1] not in fields_at(place[:-1])
        if in_file:
            place = (*place[:-1], str(place[-1]).removesuffix("_file"))
        # What was wrong with the file's value is no fault any more.
        self.faults = {at: text for at, text in self.faults.items() if at[: len(place)] != place}
        if place in self.origins:
            self.faults[place] = f"is given by {self.origins[place]} as well"
        self.origins[place] = name
        text = self._content(self._environ[name], place) if in_file else self._environ[name]
        if text is not None:
            self._put(place, _decode(text, place))

    def _put(self, place: Place, value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
        table = self.tree
        for depth, part in enumerate(place[:-1], 1):
            table = table.setdefault(str(part), {})
            if not isinstance(table, dict):
                self.faults[place[:depth]] = "must be a table to hold what the environment adds"
                return
        table[str(place[-1])] = value


def tables(environ: Mapping[str, str], config: Path | None) -> dict[str, Any]:
    """What the file holds that ``config`` or else ``OTP_CONFIG`` names; without either, nothing.

    Raises:
        SettingsError: The file is not there or is no TOML: nothing else can be told then.
    """
    named = config or next((text for name, text in environ.items() if name.lower() == _CONFIG and text), None)
    if named is None:
        return {}
    try:
        return tomllib.loads(Path(named).read_text("utf-8"))
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    except tomllib.TOMLDecodeError as error:
        fault = re.sub(r"\('[^)]*\)", "a key", str(error))  # a key can be a test number
    except (ValueError, RecursionError):
        fault = "is not TOML in UTF-8"
    raise SettingsError((f"{named}: {fault}",))


def fields_at(place: Place) -> frozenset[str]:
    """The settings that a table may hold by name; empty where names are free."""
    kind = _kind_at(place)
    return frozenset(kind.model_fields) if _is_table(kind) else frozenset()


def _decode(text: str, place: Place) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Read text from outside the file: what is not text by its nature is written as JSON."""
    kind = _kind_at(place)
    if (
        kind not in (int, float, bool)
        and get_origin(kind) not in (tuple, frozenset, dict)
        and not _is_table(kind)
    ):
        return text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text  # its validator says what is allowed
    return text if found is None else found


def _kind_at(place: Place) -> Any:  # noqa: ANN401 - a type
    """The declared type of a setting; None where there is no such setting."""
    kind: Any = Settings
    for part in place:
        if _is_table(kind):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field else Any if kind is ProviderSettings else None
        else:
            inner = get_args(kind)
            kind = inner[get_origin(kind) is dict] if inner else None
        while get_origin(kind) in (Annotated, Union, UnionType):
            kind = get_args(kind)[0]
    return kind


def _is_table(kind: Any) -> bool:  # noqa: ANN401 - a type
    return isinstance(kind, type) and issubclass(kind, BaseModel)
