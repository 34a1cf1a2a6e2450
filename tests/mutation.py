"""Mutation testing of what decides and counts: ``python -m tests.mutation [part of a name ...]``.

mutmut changes one thing at a time in ``FILES``. Each mutant runs in a process forked from one in which all
tests are collected and a Redis is up, and meets the tests that call its function, the likeliest first: so
thousands take minutes. One that survives must stand in ``tests/data/survivors.toml``, with the reason why
no test can tell it from the code; one that stands there and is killed must go.
"""

from __future__ import annotations

import difflib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _pytest.runner import runtestprotocol
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.state import state

from tests.conftest import Ground

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

ROOT = Path(__file__).parent.parent
SURVIVORS = ROOT / "tests/data/survivors.toml"
FILES = ("verifier.py", "dispatch.py", "registry.py", "codes.py", "store/*.py")
"""The lifecycle, codes, and all that calls a script."""
TESTS = (
    "adaptive answers boot breaker budgets claims codes connections delivery dispatch doctor experience "
    "guard guard_cli http idempotency ledgers lifecycle locks logs metrics model numbers pages proof proxies "
    "pumping records registry rotation scripts signals spend store sweep test_numbers transactions verifier "
    "watch worker"
)
"""Those that call it in their own process."""
QUICK = 8
"""Seconds of tests that every mutant meets; the rest is for those that nobody has explained."""
PATIENCE = 3
"""A mutant whose tests take so many times as long as without it, and half a minute, hangs."""


def main(wanted: list[str]) -> int:
    """Make the mutants, run them, and compare what survives with what is explained."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        mutants = list(_mutants(room, wanted))
        explained = _explained()
        work = {
            "mutants": [mutant["name"] for mutant in mutants],
            "explained": [mutant["name"] for mutant in mutants if _key(mutant) in explained],
            "results": str(room / "results.json"),
        }
        (room / "work.json").write_text(json.dumps(work))
        plugins = ("-p", "tests.mutation", "-p", "no:randomly", "-p", "no:cacheprovider")
        began = time.monotonic()
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                *plugins,
                *(f"tests/test_{name}.py" for name in TESTS.split()),
            ],
            cwd=room,
            env=os.environ | {"PYTHONPATH": folder, "MUTANTS": str(room / "work.json")},
            check=True,
        )
        results = json.loads((room / "results.json").read_text())
    took = time.monotonic() - began
    print(f"{len(mutants)} mutants in {took:.0f} s: {dict(Counter(results.values()))}")  # noqa: T201
    alive = [mutant for mutant in mutants if results[mutant["name"]] in {"survived", "untested"}]
    return _compare(alive, mutants, whole=not wanted)


def _compare(survivors: list[dict[str, str]], mutants: list[dict[str, str]], *, whole: bool) -> int:
    """Say which survivors nobody has explained, and which explanations are of no use any more."""
    explained = _explained()
    alive = {_key(mutant) for mutant in survivors}
    made = {_key(mutant) for mutant in mutants}
    faults = {
        "Nobody has explained": alive - explained,
        "Explained, but killed": (explained & made) - alive,
        "Explained, but not made": explained - made if whole else set(),
    }
    for title, found in faults.items():
        for key in sorted(found):
            print(f"{title}: {json.dumps(key, ensure_ascii=False)}")  # noqa: T201
    return int(any(faults.values()))


def _explained() -> set[tuple[str, str, str]]:
    reasons = tomllib.loads(SURVIVORS.read_text())["reason"]
    return {(function, before, after) for why in reasons for function, before, after in why["mutants"]}


def _key(mutant: dict[str, str]) -> tuple[str, str, str]:
    return mutant["function"], mutant["before"], mutant["after"]


def _mutants(room: Path, wanted: list[str]) -> Iterator[dict[str, str]]:
    """Copy the project there, with all mutants in the place of the code; and say what each changes."""
    tracked = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    for name in tracked.decode().split("\0"):
        if (ROOT / name).is_file():
            (room / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, room / name)
    package = room / "otp_service"
    for path in sorted({path for pattern in FILES for path in package.glob(pattern)}):
        made = mutate_file_contents(str(path), path.read_text())
        path.write_text(made.code)
        lines = made.code.splitlines()
        module = ".".join(path.relative_to(room).with_suffix("").parts)

        def source(name: str, lines: list[str] = lines, made: Any = made) -> list[str]:
            span = made.line_span_by_function_name[name]
            return [line.strip().replace(name, "") for line in lines[span.start - 1 : span.end]]

        for name in made.mutant_names:
            mangled = name.rpartition("__mutmut_")[0]
            function = mangled.removeprefix("x").replace("ǁ", ".").removeprefix("_").removeprefix(".")
            before, after = _change(source(f"{mangled}__mutmut_orig"), source(name))
            shown = f"{module.removeprefix('otp_service.')}.{function}"
            if not wanted or any(part in shown for part in wanted):
                yield {"name": f"{module}.{name}", "function": shown, "before": before, "after": after}


def _change(before: list[str], after: list[str]) -> tuple[str, str]:
    changed = list(difflib.ndiff(before, after))
    return tuple(" ".join(line[2:] for line in changed if line[0] == sign) for sign in "-+")  # type: ignore[return-value]


# From here on: what pytest does with the copy.


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Instead of running the tests once, run those of each mutant against it."""
    work = json.loads(Path(os.environ["MUTANTS"]).read_text())
    items = [item for item in session.items if _usual(item)]
    called = json.loads(_forked(lambda: json.dumps(_survey(items)).encode()))
    print(f"{len(items)} tests, {len(called)} functions", flush=True)  # noqa: T201
    cores = os.cpu_count() or 1
    parts = [work["mutants"][part::cores] for part in range(cores)]
    explained = set(work["explained"])
    reading = [
        _start(lambda part=part: json.dumps(_work(items, called, part, explained)).encode()) for part in parts
    ]
    results: dict[str, str] = {}
    for pipe in reading:
        results |= json.loads(_read(pipe))
    Path(work["results"]).write_text(json.dumps(results))
    return True


def _usual(item: pytest.Item) -> bool:
    """Whether a test stands on the embedded server, and on no wrong variant."""
    callspec = getattr(item, "callspec", None)
    return callspec is None or callspec.params.get("ground", Ground()) == Ground()


def _survey(items: list[pytest.Item]) -> dict[str, list[tuple[float, int]]]:
    """Which tests call which function: those of its own file first, then the quickest.

    Tests that fail by themselves, because mutmut's functions are wrapped, are left out.
    """
    os.environ["MUTANT_UNDER_TEST"] = "stats"
    calls: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for index, (item, following) in enumerate(zip(items, [*items[1:], None], strict=True)):
        state()._stats.clear()
        began = time.monotonic()
        if _passes(item, following):
            for function in state()._stats:
                calls[function].append((time.monotonic() - began, index))
        else:
            print(f"left out: {item.nodeid}", flush=True)  # noqa: T201
    own = {function: f"test_{function.split('.')[-2]}.py" for function in calls}
    return {
        function: sorted(tests, key=lambda test: (own[function] not in items[test[1]].nodeid, test))
        for function, tests in calls.items()
    }


def _work(
    items: list[pytest.Item],
    called: dict[str, list[tuple[float, int]]],
    mutants: list[str],
    explained: set[str],
) -> dict[str, str]:
    """Judge some mutants, one after another, each in a process of its own; what killed one is tried first."""
    away = next(item for item in items if item.path != items[0].path)
    assert _passes(items[0], away)  # brings up what all tests of a session share
    most = max(called.values(), key=len)
    if (killer := _forked(lambda: _judge(items, most, "")).decode()) != "-":
        raise AssertionError(f"fails without a mutant too: {items[most[int(killer)][1]].nodeid}")
    results = {}
    for mutant in mutants:
        tests = called.get(mutant.rpartition("__mutmut_")[0], [])
        enough = _quick(tests) if mutant in explained else tests
        killer = _forked(lambda mutant=mutant, enough=enough: _judge(items, enough, mutant)).decode()
        results[mutant] = "untested" if not tests else {"": "hung", "-": "survived"}.get(killer, "killed")
        if killer.isdigit():
            tests.insert(0, tests.pop(int(killer)))
        if results[mutant] in {"survived", "untested"} or not len(results) % 100:
            print(f"{len(results)} of {len(mutants)}: {mutant} {results[mutant]}\n", end="", flush=True)  # noqa: T201
    return results


def _quick(tests: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """As many of the first as are run in no time."""
    taken = itertools.accumulate(seconds for seconds, _ in tests)
    return [test for test, seconds in zip(tests, taken, strict=True) if seconds < QUICK]


def _judge(items: list[pytest.Item], tests: list[tuple[float, int]], mutant: str) -> bytes:
    """The place of the test that kills it, or a dash."""
    os.environ["MUTANT_UNDER_TEST"] = mutant
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(30 + round(PATIENCE * sum(seconds for seconds, _ in tests)))
    for place, (_, index) in enumerate(tests):
        _, following = tests[(place + 1) % len(tests)]
        if not _passes(items[index], items[following]):
            return str(place).encode()
    return b"-"


def _passes(item: pytest.Item, following: pytest.Item | None) -> bool:
    """Run one test, twice if it fails the first time; what it shares with the following one stays up."""
    return any(
        not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))
        for _ in range(2)
    )


def _start(work: Any) -> int:
    """Begin something in a process of its own, and give the end of a pipe that it answers to."""
    reading, writing = os.pipe()
    if not os.fork():
        os.close(reading)
        try:
            with os.fdopen(writing, "wb") as answer:
                answer.write(work())
        except BaseException:  # noqa: BLE001 - else the copy would go on as if it were the original
            traceback.print_exc()
        os._exit(0)
    os.close(writing)
    return reading


def _read(pipe: int) -> bytes:
    with os.fdopen(pipe, "rb") as answer:
        return answer.read()


def _forked(work: Any) -> bytes:
    answer = _read(_start(work))
    os.wait()
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
