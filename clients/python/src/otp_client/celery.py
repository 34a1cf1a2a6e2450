"""A task for Celery: starts a verification for which nobody waits. Needs ``otp-client[celery]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Task

from ._errors import OtpError
from ._retries import may_pass

if TYPE_CHECKING:
    from celery import Celery
    from celery.result import AsyncResult

    from ._clients import Client

__all__ = ["start_task"]

# All tries must fit into the hour for which the service keeps an Idempotency-Key: a later one would send
# another message.
MAX_RETRIES = 6
FIRST_WAIT_SECONDS = 10
LONGEST_WAIT_SECONDS = 480


class _Discreet(Task[..., Any]):
    """Shows its arguments, a phone number among them, in none of Celery's events."""

    def apply_async(self, *args: Any, **options: Any) -> AsyncResult[Any]:  # noqa: ANN401 - Celery's
        return super().apply_async(*args, **{"argsrepr": "(...)", "kwargsrepr": "{...}"} | options)


def start_task(app: Celery, client: Client, *, name: str = "otp_client.start") -> Task[..., str]:
    """Registers a task that takes what ``Client.start`` takes and gives the verification's id.

    The task's id is its idempotency key: tried again by Celery, or delivered twice by the broker, it still
    sends one message.

    Args:
        app: Yours.
        client: One for the whole process.
        name: The task's.
    """

    @app.task(base=_Discreet, bind=True, name=name, max_retries=MAX_RETRIES)
    def start(task: Task[..., str], /, to: str, **wish: Any) -> str:  # noqa: ANN401 - as start takes it
        try:
            return client.start(to, idempotency_key=f"celery-{task.request.id}", **wish).id
        except OtpError as error:
            wait = max(error.retry_after or 0, FIRST_WAIT_SECONDS * 2**task.request.retries)
            if not may_pass(error) or wait > LONGEST_WAIT_SECONDS:
                raise
            raise task.retry(exc=error, countdown=wait) from error

    return start
