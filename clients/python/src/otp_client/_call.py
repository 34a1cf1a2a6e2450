"""One call of the contract: what to send, and how to read what comes back. Does no I/O."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote, urlsplit
from uuid import uuid4

from ._errors import BY_CODE, APIError, FieldError, UnexpectedAnswer
from ._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the service is, and the key that opens it.

    Args:
        base_url: ``https://otp.example.com``, with a path if the service lives under one.
        api_key: ``otp_live_…`` or ``otp_test_…``.

    Raises:
        ValueError: One of them cannot be what it should; the text repeats neither.
    """

    base_url: str
    api_key: str = field(repr=False)

    def __post_init__(self) -> None:
        _require_visible_ascii("base_url", self.base_url)
        url = urlsplit(self.base_url)
        extra = url.username or url.password or url.query or url.fragment
        if url.scheme not in {"http", "https"} or not url.hostname or extra:
            raise ValueError("base_url must be http(s)://host, with a port and a path at most")
        _require_visible_ascii("api_key", self.api_key)

    def url(self, call: Call[Any]) -> str:
        """The address of a call."""
        return self.base_url.rstrip("/") + call.path

    def headers(self, call: Call[Any]) -> dict[str, str]:
        """The headers of every try of a call."""
        return {
            "Authorization": f"Bearer {self.api_key}",
            "Accept": "application/json",
            "User-Agent": f"otp-client-python/{__version__}",
            **call.headers,
        }


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, the same bytes and key at each try, and the reader of its answer."""

    method: str
    path: str
    read: Callable[[Mapping[str, Any]], T] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = field(default=None, repr=False)
    timeout: float | None = None

    def answer(self, status: int, headers: Mapping[str, str], content: bytes) -> T:
        """What the service said.

        Args:
            status: HTTP status.
            headers: Found by name in any case.
            content: The body as it came.

        Raises:
            APIError: The service refused.
            UnexpectedAnswer: The service did not write this.
        """
        body = _json_object(content)
        if status // 100 == 2:  # noqa: PLR2004 - HTTP's class of success
            try:
                return self.read(body)
            except (KeyError, TypeError, ValueError):
                body = {}
        request_id = _text(body, "request_id") or headers.get("X-Request-Id")
        retry_after = _seconds(headers.get("Retry-After", body.get("retry_after")))
        code = _text(body, "code")
        if code is None:
            raise UnexpectedAnswer(status, request_id=request_id, retry_after=retry_after)
        raise BY_CODE.get(code, APIError)(
            status,
            code,
            _text(body, "detail") or "",
            request_id=request_id,
            retry_after=retry_after,
            reason=_text(body, "reason"),
            errors=_field_errors(body),
            verification_status=_text(body, "verification_status"),
            verification_id=_text(body, "verification_id"),
        )


def get(path: str, read: Callable[[Mapping[str, Any]], T], timeout: float | None) -> Call[T]:
    """A call that changes nothing."""
    return Call("GET", path, read, timeout=timeout)


def post(
    path: str,
    body: Mapping[str, object],
    read: Callable[[Mapping[str, Any]], T],
    key: str | None,
    timeout: float | None,
) -> Call[T]:
    """A call that acts once, however often it is sent.

    Args:
        path: Where to.
        body: Fields of the contract; those that are None stay out.
        read: Makes the result of a good answer.
        key: The Idempotency-Key, 1 to 255 visible ASCII characters; a random one if None.
        timeout: Seconds for each step of one try; the client's if None.

    Raises:
        ValueError: The key has other characters or another length.
    """
    key = str(uuid4()) if key is None else key
    _require_visible_ascii("idempotency_key", key)
    given = {name: value for name, value in body.items() if value is not None}
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    content = json.dumps(given, default=dict, separators=(",", ":")).encode()
    return Call("POST", path, read, headers, content, timeout)


def path_of(verification_id: str, verb: str = "") -> str:
    """The path of one verification; whatever the id holds, it stays one segment.

    Raises:
        ValueError: The id is empty or a dot segment, which URLs drop, percent-encoded too.
    """
    if verification_id in {"", ".", ".."}:
        raise ValueError("not the id of a verification")
    return f"/v1/verifications/{quote(verification_id, safe='')}{verb}"


def _require_visible_ascii(name: str, text: str) -> None:
    if not re.fullmatch(r"[!-~]{1,255}", text):
        raise ValueError(f"{name} must be 1 to 255 visible ASCII characters")


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


def _seconds(value: object) -> int | None:
    # Retry-After may also be a date (RFC 9110, 10.2.3); the service sends seconds, a date counts as none.
    return int(str(value)) if re.fullmatch(r"[0-9]{1,18}", str(value)) else None


def _field_errors(body: Mapping[str, Any]) -> tuple[FieldError, ...]:
    listed = body.get("errors")
    faults = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return tuple(FieldError(_text(each, "pointer") or "", _text(each, "detail") or "") for each in faults)
