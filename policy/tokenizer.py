"""Two small lossless tokenizers with the same five special tokens.

`ByteTokenizer` needs nothing: id = byte value, then the special tokens. `PieceTokenizer` is byte-level BPE trained from a
corpus: every one of the 256 bytes is in its alphabet, so any text encodes, and text that it was trained on takes few
tokens. In both, a special token is an id that no text encodes to: text which spells `<end>` becomes ordinary tokens, so
nothing that a repository contains can end a turn or open one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from podgym.policy.contract import Tokenizer
from podgym.policy.errors import CheckpointError, PolicyError
from podgym.policy.pretrained import PretrainedTokenizer, holds_pretrained

if TYPE_CHECKING:
    from tokenizers import Tokenizer as FastTokenizer

__all__ = ["SPECIAL_TOKENS", "ByteTokenizer", "PieceTokenizer", "SavedTokenizer", "load_tokenizer"]

SPECIAL_TOKENS = ("<pad>", "<task>", "<turn>", "<end>", "<obs>")
_META = "podgym_tokenizer.json"
_PIECES = "tokenizer.json"
_SMALLEST = 256 + len(SPECIAL_TOKENS)


class SavedTokenizer(Tokenizer, Protocol):
    """A tokenizer that travels with a model's weights."""

    @property
    def fingerprint(self) -> str:
        """Equal exactly where two tokenizers encode all text alike."""
        ...

    def save(self, directory: Path) -> None:
        """Write what `load_tokenizer` reads."""
        ...


class ByteTokenizer:
    """UTF-8 bytes as ids 0 to 255, special tokens from 256 on."""

    def __init__(self) -> None:
        self.special: Mapping[str, int] = MappingProxyType({name: 256 + index for index, name in enumerate(SPECIAL_TOKENS)})
        """Special token name to id."""
        self._names = {identity: name.encode() for name, identity in self.special.items()}

    @property
    def vocab_size(self) -> int:
        """Ids are below it."""
        return _SMALLEST

    @property
    def fingerprint(self) -> str:
        """Equal exactly where two tokenizers encode all text alike."""
        return _digest("bytes")

    def encode(self, text: str) -> list[int]:
        """Raises `PolicyError` for a lone surrogate, which no UTF-8 holds."""
        return list(_utf8(text))

    def decode(self, tokens: list[int]) -> str:
        """Special tokens as their names. Raises `PolicyError` for an id outside the vocabulary."""
        parts = [self._names[token] if token in self._names else _byte(token) for token in tokens]
        return b"".join(parts).decode("utf-8", errors="replace")

    def save(self, directory: Path) -> None:
        """Write what `load_tokenizer` reads."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _META).write_text(json.dumps({"kind": "bytes", "fingerprint": self.fingerprint}), encoding="utf-8")


class PieceTokenizer:
    """Byte-level BPE. Special tokens have ids 0 to 4, then come the 256 bytes, then merged pieces."""

    def __init__(self, fast: FastTokenizer) -> None:
        self._fast = fast
        fast.encode_special_tokens = True  # text that spells a special token is ordinary text
        found = [(name, fast.token_to_id(name)) for name in SPECIAL_TOKENS]
        special = {name: identity for name, identity in found if identity is not None}
        missing = [name for name in SPECIAL_TOKENS if name not in special]
        if missing:
            raise CheckpointError(f"The tokenizer has no special token {', '.join(missing)}.", remedy="Train it with PieceTokenizer.train.")
        self.special: Mapping[str, int] = MappingProxyType(special)
        """Special token name to id."""

    @classmethod
    def train(cls, corpus: Iterable[str], *, vocab_size: int = 512, pattern: str | None = None) -> PieceTokenizer:
        """Learn pieces from `corpus`; the same corpus in the same order gives the same pieces.

        `vocab_size` is an upper bound, at least 261: a small corpus yields fewer. No piece reaches over a boundary between
        matches of the regular expression `pattern`; None is GPT-2's. Raises `PolicyError` for a smaller vocabulary.
        """
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

        if vocab_size < _SMALLEST:
            raise PolicyError(
                f"A vocabulary of {vocab_size} cannot hold 256 bytes and {len(SPECIAL_TOKENS)} special tokens.",
                remedy=f"Ask for {_SMALLEST} or more.",
            )
        fast = Tokenizer(models.BPE())
        split = [] if pattern is None else [pre_tokenizers.Split(Regex(pattern), "isolated")]
        fast.pre_tokenizer = pre_tokenizers.Sequence([*split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)])
        fast.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        fast.train_from_iterator(corpus, trainer)
        return cls(fast)

    @property
    def vocab_size(self) -> int:
        """Ids are below it."""
        return int(self._fast.get_vocab_size(with_added_tokens=True))

    @property
    def fingerprint(self) -> str:
        """Equal exactly where two tokenizers encode all text alike."""
        return _digest(self._fast.to_str())

    def encode(self, text: str) -> list[int]:
        """Raises `PolicyError` for a lone surrogate, which no UTF-8 holds."""
        _utf8(text)
        return list(self._fast.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: list[int]) -> str:
        """Special tokens as their names. Raises `PolicyError` for an id outside the vocabulary."""
        size = self.vocab_size
        for token in tokens:
            if not 0 <= token < size:
                raise PolicyError(f"Token id {token} is outside the vocabulary of {size}.", remedy="Use the tokenizer that encoded it.")
        return str(self._fast.decode(tokens, skip_special_tokens=False))

    def save(self, directory: Path) -> None:
        """Write `tokenizer.json`, which transformers and vLLM read too, and what `load_tokenizer` needs."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _PIECES).write_text(self._fast.to_str(pretty=False), encoding="utf-8")
        (directory / _META).write_text(json.dumps({"kind": "pieces", "fingerprint": self.fingerprint}), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> PieceTokenizer:
        """Raises `CheckpointError` where the directory holds no such tokenizer."""
        tokenizer = load_tokenizer(directory)
        if not isinstance(tokenizer, cls):
            raise CheckpointError(f"{directory} holds a {type(tokenizer).__name__}.", remedy="Read it with load_tokenizer.")
        return tokenizer


def load_tokenizer(directory: Path) -> SavedTokenizer:
    """What `save` wrote, or what came with a model of transformers.

    Raises `CheckpointError` for a directory without one, a damaged one, or one of another kind.
    """
    if not (directory / _META).exists() and holds_pretrained(directory):
        return PretrainedTokenizer(directory)
    try:
        meta = json.loads((directory / _META).read_text(encoding="utf-8"))
        kind, expected = str(meta["kind"]), str(meta["fingerprint"])
        text = (directory / _PIECES).read_text(encoding="utf-8") if kind == "pieces" else ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{directory} holds no readable tokenizer ({error}).", remedy="Point at a directory with a model and its tokenizer."
        ) from error
    tokenizer: ByteTokenizer | PieceTokenizer
    if kind == "bytes":
        tokenizer = ByteTokenizer()
    elif kind == "pieces":
        tokenizer = PieceTokenizer(_parse(text, directory))
    else:
        raise CheckpointError(f"{directory} has a tokenizer of kind {kind!r}; known are bytes and pieces.", remedy="Upgrade podgym.")
    if tokenizer.fingerprint != expected:
        raise CheckpointError(f"The tokenizer in {directory} differs from the one that was saved there.", remedy="Restore the directory.")
    return tokenizer


def _parse(text: str, directory: Path) -> FastTokenizer:
    try:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(text)
    except ImportError as error:
        raise CheckpointError(f"Reading {directory / _PIECES} needs tokenizers.", remedy="pip install 'podgym[train]'") from error
    except Exception as error:  # the library raises bare Exception for every malformed file
        raise CheckpointError(f"{directory / _PIECES} is damaged ({error}).", remedy="Restore it from where it was saved.") from error


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PolicyError(
            f"The text holds a lone surrogate at character {error.start}.",
            remedy="Decode bytes with errors='replace' first.",
        ) from error


def _byte(token: int) -> bytes:
    if not 0 <= token < 256:
        raise PolicyError(f"Token id {token} is outside the vocabulary of {_SMALLEST}.", remedy="Use the tokenizer that encoded it.")
    return bytes((token,))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
