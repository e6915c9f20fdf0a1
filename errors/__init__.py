"""The root of every error that podgym raises on purpose.

A room of its own below all others, because the two lowest rooms (`traces`, `sandbox`) may import nothing of each
other and all boundaries share one root. Each boundary defines its classes beside its contract, derives them from
`PodgymError` and from their standard-library kin, and writes messages that name what failed, the value, what is
allowed, and what to do.
"""

from __future__ import annotations

from typing import Any

__all__ = ["PodgymError"]

_SYSTEM = ("errno", "strerror", "filename", "filename2")


class PodgymError(Exception):
    """An error whose message is meant for the person who runs podgym.

    `remedy` says what to do; `str()` of the error holds both. Instances keep every attribute through pickling, so
    that they cross Ray unchanged.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        # What an OSError knows beyond its arguments is in no __dict__.
        system = (
            {name: getattr(self, name) for name in _SYSTEM if getattr(self, name, None) is not None} if isinstance(self, OSError) else {}
        )
        return _rebuild, (type(self), self.args, self.__dict__ | system)


def _rebuild(kind: type[PodgymError], args: tuple[Any, ...], state: dict[str, Any]) -> PodgymError:
    error = kind.__new__(kind)
    error.args = args
    for name, value in state.items():
        setattr(error, name, value)
    return error
