"""TypeScript and TSX: as JavaScript."""

from __future__ import annotations

from typing import Final

from podgym.verifiers.decoys.languages.javascript import javascript

__all__ = ["GRAMMAR", "TSX"]

GRAMMAR: Final = javascript(name="typescript", module="tree_sitter_typescript", function="language_typescript")
TSX: Final = javascript(name="tsx", module="tree_sitter_typescript", function="language_tsx")
