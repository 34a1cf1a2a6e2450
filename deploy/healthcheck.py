"""Ends with 0 when the service in this container can serve: what HEALTHCHECK runs."""  # noqa: INP001 - a program

from __future__ import annotations

import http.client
import sys


def ready(port: int) -> bool:
    """Whether ``/readyz`` of this machine answers 200 within two seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if ready(int(sys.argv[1]) if len(sys.argv) > 1 else 8000) else 1)
