"""The cluster's API: who we are, requests, and what can be refused."""

from podgym.k8s.api.client import ApiClient
from podgym.k8s.api.credentials import Credentials
from podgym.k8s.api.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    OverQuota,
    Throttled,
    Unauthorized,
    Unreachable,
)

__all__ = [
    "AlreadyExists",
    "ApiClient",
    "ApiError",
    "Conflict",
    "Credentials",
    "Forbidden",
    "Gone",
    "Invalid",
    "NotFound",
    "OverQuota",
    "Throttled",
    "Unauthorized",
    "Unreachable",
]
