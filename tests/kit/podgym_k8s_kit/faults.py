"""What goes wrong, and when: rules that the server asks before it answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["Fault", "Faults"]


@dataclass
class Fault:
    """For requests that match, so many times."""

    method: str = ".*"
    path: str = ".*"
    """Searched in the path with its query."""
    times: int = 1
    status: int = 500
    reason: str = "InternalError"
    message: str = "an error on the server"
    retry_after_s: int | None = None
    after: bool = False
    """Do what was asked, and then fail: the answer is lost."""
    hang_s: float = 0.0
    body: str | None = None
    """Said in place of a Status."""
    drop: bool = False
    """Close the connection without an answer."""


@dataclass
class Faults:
    """Rules in order; each is taken away when it is used up."""

    rules: list[Fault] = field(default_factory=list)
    met: int = 0

    def add(self, **changes: object) -> Fault:
        self.rules.append(Fault(**changes))  # type: ignore[arg-type]
        return self.rules[-1]

    def take(self, method: str, path: str) -> Fault | None:
        for rule in self.rules:
            if rule.times > 0 and re.fullmatch(rule.method, method) and re.search(rule.path, path):
                rule.times -= 1
                self.met += 1
                return rule
        return None
