from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_mypy_sees_the_types_that_the_package_promises() -> None:
    promises = Path(__file__).with_name("client_typing.py")
    command = [sys.executable, "-m", "mypy", "--config-file=", "--strict", promises.name]
    done = subprocess.run(command, cwd=promises.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
