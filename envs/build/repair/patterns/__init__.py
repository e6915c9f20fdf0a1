"""How tools say what they lack, by the family of tools."""

from typing import Final

from podgym.envs.build.repair.patterns.go import GO
from podgym.envs.build.repair.patterns.java import JAVA
from podgym.envs.build.repair.patterns.javascript import JAVASCRIPT
from podgym.envs.build.repair.patterns.machine import MACHINE
from podgym.envs.build.repair.patterns.native import NATIVE
from podgym.envs.build.repair.patterns.pattern import Pattern
from podgym.envs.build.repair.patterns.python import PYTHON
from podgym.envs.build.repair.patterns.rust import RUST
from podgym.envs.build.repair.patterns.tests import TESTS

__all__ = ["PATTERNS", "Pattern"]

PATTERNS: Final[tuple[Pattern, ...]] = (*MACHINE, *NATIVE, *PYTHON, *JAVASCRIPT, *JAVA, *GO, *RUST, *TESTS)
