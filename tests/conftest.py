"""What holds for the tests of all rooms."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture(autouse=True, scope="session")
def hearing() -> None:
    """A shell without job control starts its background jobs deaf to interrupts, and processes inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
