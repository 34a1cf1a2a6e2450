"""A budget as data: what is counted, under which name, in which windows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """One row of what a script weighs before a send.

    Args:
        name: As the caller reads it in ``reason``.
        prefix: Events that begin so are counted.
        group: Characters after the prefix that make events one; 0 counts each.
        member: The event that this send adds; "" adds none.
        windows: Limit and milliseconds of each sliding window.
    """

    name: str
    prefix: str
    group: int
    member: str
    windows: tuple[tuple[int, int], ...]

    def row(self) -> dict[str, object]:
        """As the script reads it."""
        return {
            "name": self.name,
            "prefix": self.prefix,
            "group": self.group,
            "member": self.member,
            "spends": bool(self.member),
            "windows": self.windows,
        }
