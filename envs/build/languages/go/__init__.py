"""Go: the go command."""

from podgym.envs.build.languages.go.module import GO

__all__ = ["GO"]
