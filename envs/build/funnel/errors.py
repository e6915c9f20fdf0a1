"""What keeps a funnel as a whole from running; whatever is wrong with one of its lines is a row."""

from __future__ import annotations

from podgym.errors import PodgymError

__all__ = ["FunnelError"]


class FunnelError(PodgymError, RuntimeError):
    """The folder of a funnel is in use or cannot be written, or its file cannot be read."""
