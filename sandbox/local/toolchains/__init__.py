"""What this machine has installed that a public image of a language would bring, found by where its installers put it."""

from podgym.sandbox.local.toolchains.machine import Toolchains
from podgym.sandbox.local.toolchains.names import Wanted, wanted_of
from podgym.sandbox.local.toolchains.toolchain import Toolchain

__all__ = ["Toolchain", "Toolchains", "Wanted", "wanted_of"]
