# ruff: noqa: A002 - `id` is the contract's word
"""The verbs of the contract, written once for both clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, overload

from ._call import get, path_of, post
from ._results import read_check, read_verification

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._call import Call
    from ._results import Check, Verification

VerificationT = TypeVar("VerificationT")
CheckT = TypeVar("CheckT")


class Autofill(TypedDict, total=False):
    """What lets the phone fill in the code: the site's host, or the Android app's 11-character hash."""

    web: str
    android: str


class Transaction(TypedDict):
    """What the code approves; the message shows it and the check must repeat it (PSD2 dynamic linking)."""

    payee: str
    amount: str


class EndUser(TypedDict, total=False):
    """The person's address and session, for abuse limits; never those of the calling server."""

    ip: str
    session: str


class Verbs(Generic[VerificationT, CheckT]):
    """The calls; a subclass says what each gives: the result itself, or a coroutine of it.

    An id or an ``idempotency_key`` that cannot be sent is a ValueError, before anything is.
    """

    def start(  # noqa: PLR0913 - the contract's fields, by name
        self,
        to: str,
        *,
        region: str | None = None,
        channel: str | None = None,
        purpose: str | None = None,
        locale: str | None = None,
        autofill: Autofill | None = None,
        transaction: Transaction | None = None,
        client: EndUser | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> VerificationT:
        """Sends a code.

        Args:
            to: The number in E.164, or a national one with ``region``.
            region: ISO 3166 alpha-2, such as ``EE``.
            channel: How the code travels; the service's default if None.
            purpose: What the code is for, 1 to 64 of ``a-z0-9_.-``; ``verify`` if None.
            locale: Language of the message, such as ``et``.
            autofill: What lets the phone fill in the code.
            transaction: Payee and amount that the code approves.
            client: The person's address and session.
            metadata: Up to 10 pairs, 40 and 200 characters, for your webhooks.
            idempotency_key: 1 to 255 visible ASCII characters; random if None.
            timeout: Seconds for each step of one try; the client's if None.

        Raises:
            InvalidRequest, Undeliverable: The number, or something else that was sent, is no good.
            Blocked, Throttled: The service would not pay for this send, or not yet.
            DeliveryFailed: No provider took the message.
            OtpError: Anything else.
        """
        body = {
            "to": to,
            "region": region,
            "channel": channel,
            "purpose": purpose,
            "locale": locale,
            "autofill": autofill,
            "transaction": transaction,
            "client": client,
            "metadata": metadata,
        }
        return self._run(post("/v1/verifications/start", body, read_verification, idempotency_key, timeout))

    def resend(
        self, id: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> VerificationT:
        """Sends a new code; earlier ones stay good.

        Args:
            id: The verification's.
            idempotency_key: 1 to 255 visible ASCII characters; random if None.
            timeout: Seconds for each step of one try; the client's if None.

        Raises:
            Closed, NotFound: There is nothing to resend.
            Throttled: Too soon, or too many.
            OtpError: Anything else.
        """
        return self._run(post(path_of(id, "/resend"), {}, read_verification, idempotency_key, timeout))

    def check(
        self,
        id: str,
        code: str,
        *,
        purpose: str | None = None,
        transaction: Transaction | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> CheckT:
        """Spends one guess; a wrong code is a result, not an error.

        Args:
            id: The verification's.
            code: What the person typed; spaces and dashes do no harm.
            purpose: The start's.
            transaction: The start's.
            idempotency_key: 1 to 255 visible ASCII characters; random if None.
            timeout: Seconds for each step of one try; the client's if None.

        Raises:
            InvalidRequest: This cannot be a code; no guess was spent.
            Closed, NotFound: There is nothing left to check.
            OtpError: Anything else.
        """
        body = {"code": code, "purpose": purpose, "transaction": transaction}
        return self._run(post(path_of(id, "/check"), body, read_check, idempotency_key, timeout))

    def cancel(
        self, id: str, *, idempotency_key: str | None = None, timeout: float | None = None
    ) -> VerificationT:
        """Closes the verification; its codes are dead.

        Args:
            id: The verification's.
            idempotency_key: 1 to 255 visible ASCII characters; random if None.
            timeout: Seconds for each step of one try; the client's if None.

        Raises:
            Closed, NotFound: There is nothing to cancel.
            OtpError: Anything else.
        """
        return self._run(post(path_of(id, "/cancel"), {}, read_verification, idempotency_key, timeout))

    def fetch(self, id: str, *, timeout: float | None = None) -> VerificationT:
        """The verification as it stands, with its deliveries.

        Args:
            id: The verification's.
            timeout: Seconds for each step of one try; the client's if None.

        Raises:
            NotFound: An unknown id, or another app's.
            OtpError: Anything else.
        """
        return self._run(get(path_of(id), read_verification, timeout))

    @overload
    def _run(self, call: Call[Verification]) -> VerificationT: ...
    @overload
    def _run(self, call: Call[Check]) -> CheckT: ...
    def _run(self, call: Call[Any]) -> Any:
        raise NotImplementedError
