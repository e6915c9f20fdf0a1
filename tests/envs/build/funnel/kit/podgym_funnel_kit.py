"""A provider under which builds go wrong that a test marks by the number of processes that they may have."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from podgym.sandbox import SandboxSpec
from podgym.sandbox.local import LocalConfig, LocalProvider


class Odd(LocalProvider):
    def __init__(self, **options: Any) -> None:
        super().__init__(LocalConfig(**options))

    async def create(self, spec: SandboxSpec) -> Any:
        match spec.limits.processes:
            case 1001:
                sys.stdout.write("x" * 100)
                sys.stdout.flush()
                os.write(2, b"the kit crashes\n")
                os._exit(3)
            case 1002:
                os.kill(os.getpid(), signal.SIGKILL)
            case 1003:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(600)  # noqa: ASYNC251 - a build that hangs
            case 1004:
                for number in range(10_000):
                    (Path(tempfile.gettempdir()) / f"fill-{number}").write_bytes(os.urandom(1 << 20))
                    await asyncio.sleep(0.01)
            case 1005:
                sys.stdout.write("x" * (4 << 20) + "\n")
                sys.stdout.flush()
        return await super().create(spec)
