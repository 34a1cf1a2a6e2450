"""A server made from a vendor's own OpenAPI document; it refuses what the document does not allow."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.command import free_port
from tests.provider_cases import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


@contextmanager
def mocked(document: str) -> Iterator[str]:
    """The URL of a server for a document of ``data/openapi``."""
    program = HERE / "node_modules" / ".bin" / "prism"
    if not program.exists():
        missing("tests/node_modules (npm ci --prefix tests)")
    port = free_port()
    with subprocess.Popen(
        [program, "mock", "-h", "127.0.0.1", "-p", str(port), HERE / "data" / "openapi" / document],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"NODE_OPTIONS": "--max-old-space-size=400"},
    ) as process:
        try:
            said = next((line for line in process.stdout or () if "is listening" in line), None)
            assert said, "prism did not start"
            threading.Thread(target=deque, args=(process.stdout, 0), daemon=True).start()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
