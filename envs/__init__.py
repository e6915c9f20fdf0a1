"""Environment types: the contract, the plug-in registry, the built-in types."""

from podgym.envs.contract import VERIFY_S, Environment, Task

__all__ = ["VERIFY_S", "Environment", "Task"]
