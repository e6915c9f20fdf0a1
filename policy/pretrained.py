"""A tokenizer of transformers, as any model's directory brings it, behind podgym's own contract.

Text stays text: what spells a special token is encoded as ordinary pieces, and decoding keeps everything that was sampled.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from podgym.policy.errors import CheckpointError

__all__ = ["PretrainedTokenizer", "holds_pretrained"]

_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt")


def holds_pretrained(directory: Path) -> bool:
    """Whether a directory has the files of a tokenizer of transformers."""
    return any((directory / name).is_file() for name in _FILES)


class PretrainedTokenizer:
    """Implements `SavedTokenizer`."""

    def __init__(self, directory: Path) -> None:
        """Raises `CheckpointError` where transformers is missing or cannot read it. Nothing is downloaded and no code of its is run."""
        try:
            from transformers import AutoTokenizer

            self.chat: Any = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
        except ImportError as error:
            raise CheckpointError(
                f"The tokenizer in {directory} needs a library that is missing: {error}.", remedy="pip install 'podgym[train]'"
            ) from error
        except Exception as error:  # transformers raises whatever its readers do
            raise CheckpointError(
                f"{directory} holds no readable tokenizer: {error}", remedy="Put the model's tokenizer files beside its weights."
            ) from error

    @property
    def vocab_size(self) -> int:
        """Ids are below it."""
        return len(self.chat)

    @property
    def fingerprint(self) -> str:
        """Equal where two tokenizers encode all text and all chats alike."""
        backend = getattr(self.chat, "backend_tokenizer", None)
        encodes = backend.to_str() if backend is not None else json.dumps(sorted(self.chat.get_vocab().items()))
        return hashlib.sha256(f"{encodes}\0{self.chat.chat_template}".encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """See `Tokenizer`."""
        return list(self.chat.encode(text, add_special_tokens=False, split_special_tokens=True))

    def decode(self, tokens: list[int]) -> str:
        """See `Tokenizer`."""
        return str(self.chat.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def save(self, directory: Path) -> None:
        """Write what transformers and vLLM read, and this class too."""
        directory.mkdir(parents=True, exist_ok=True)
        self.chat.save_pretrained(directory)
