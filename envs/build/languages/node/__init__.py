"""JavaScript and TypeScript, on Node."""

from podgym.envs.build.languages.node.module import JAVASCRIPT, TYPESCRIPT

__all__ = ["JAVASCRIPT", "TYPESCRIPT"]
