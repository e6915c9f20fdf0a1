"""What the API server refuses, by class; all of them are failures of the infrastructure."""

from __future__ import annotations

import json
from typing import Any

from podgym.sandbox import QuotaError, SandboxError

__all__ = [
    "AlreadyExists",
    "ApiError",
    "Conflict",
    "Forbidden",
    "Gone",
    "Invalid",
    "NotFound",
    "OverQuota",
    "Throttled",
    "Unauthorized",
    "Unreachable",
    "refusal",
]


class ApiError(SandboxError):
    """A request that did not succeed. `status` is that of HTTP, 0 where no answer came; `reason` is the server's own word."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "", remedy: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s


class Unreachable(ApiError, ConnectionError):
    """No answer, or one that says that the server cannot answer now. A request that changes something may have been obeyed."""


class Throttled(ApiError):
    """The server has too much to do; it did nothing."""


class Unauthorized(ApiError, PermissionError):
    """The credentials are not accepted (any more)."""


class Forbidden(ApiError, PermissionError):
    """The user may not do that; an administrator must allow it."""


class OverQuota(ApiError, QuotaError):
    """A quota of the namespace refuses the object."""


class NotFound(ApiError, LookupError):
    """No such object, namespace or kind."""


class AlreadyExists(ApiError, FileExistsError):
    """An object of that name is there."""


class Conflict(ApiError):
    """The object was changed by somebody else in between."""


class Gone(ApiError):
    """The version to go on from is no longer kept: list again."""


class Invalid(ApiError, ValueError):
    """The object is refused as it is, by validation or by an admission policy."""


def refusal(status: int, body: bytes, what: str, *, retry_after_s: float | None = None) -> ApiError:
    """The error for an answer that is none of success. `what` names the request."""
    told = _status_of(body)
    reason, message = str(told.get("reason") or ""), " ".join(str(told.get("message") or _text(body)).split())
    seconds = told.get("details", {}).get("retryAfterSeconds") if isinstance(told.get("details"), dict) else None
    if retry_after_s is None and isinstance(seconds, int | float):
        retry_after_s = float(seconds)
    kind, remedy = _kind(status, reason, message)
    said = f"The API server refused to {what}: {message or 'it did not say why'} (HTTP {status})."
    return kind(said, status=status, reason=reason, remedy=remedy, retry_after_s=retry_after_s)


def _kind(status: int, reason: str, message: str) -> tuple[type[ApiError], str]:
    if status == 403 and "exceeded quota" in message:
        return OverQuota, "Raise the namespace's quota, or run fewer sandboxes."
    if status == 409:
        return (AlreadyExists, "") if reason == "AlreadyExists" else (Conflict, "")
    if status == 500 and reason == "AlreadyExists":
        return AlreadyExists, ""
    if status in (500, 502, 503, 504):
        return Unreachable, "Is the API server well?"
    table: dict[int, tuple[type[ApiError], str]] = {
        400: (Invalid, "Check the object against the cluster's version and policies."),
        401: (Unauthorized, "Renew the credentials of the kubeconfig."),
        403: (Forbidden, "Grant it by RBAC: `podgym doctor` lists what is needed."),
        404: (NotFound, ""),
        410: (Gone, ""),
        422: (Invalid, "Check the object against the cluster's version and policies."),
        429: (Throttled, "Lower the rate, or raise the cluster's priority-and-fairness shares."),
    }
    return table.get(status, (ApiError, ""))


def _status_of(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _text(body: bytes) -> str:
    return body[:500].decode("utf-8", "replace")
