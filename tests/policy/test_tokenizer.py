import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgym.policy import Tokenizer
from podgym.policy.errors import CheckpointError, PolicyError
from podgym.policy.tokenizer import SPECIAL_TOKENS, ByteTokenizer, PieceTokenizer, load_tokenizer

CORPUS = [
    "bash cat calc.py",
    "str_replace calc.py\n    return a + b\n=>\n    return a - b",
    "finish",
    "The function add returns the difference; it must return the sum.",
] * 20


def pieces() -> PieceTokenizer:
    pytest.importorskip("tokenizers", reason="tokenizers is not installed (extra: train)")
    return PieceTokenizer.train(CORPUS, vocab_size=400)


@pytest.fixture(scope="module", params=["bytes", "pieces"])
def tokenizer(request):
    return ByteTokenizer() if request.param == "bytes" else pieces()


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(st.text(), st.lists(st.sampled_from([*SPECIAL_TOKENS, " ", "\n", "\t", "calc.py", "é", "\x00"])).map("".join)))
def test_any_text_survives_and_is_never_a_special_token(tokenizer, text):
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert not set(tokens) & set(tokenizer.special.values())
    assert all(0 <= token < tokenizer.vocab_size for token in tokens)


def test_both_are_tokenizers(tokenizer):
    assert isinstance(tokenizer, Tokenizer)
    assert set(tokenizer.special) == set(SPECIAL_TOKENS)
    assert len(set(tokenizer.special.values())) == len(SPECIAL_TOKENS)


def test_special_tokens_decode_to_their_names(tokenizer):
    tokens = [tokenizer.special["<task>"], *tokenizer.encode("fix it"), tokenizer.special["<turn>"]]
    assert tokenizer.decode(tokens) == "<task>fix it<turn>"


def test_undecodable_bytes_become_the_replacement_character(tokenizer):
    tokens = tokenizer.encode("é")
    assert "\ufffd" in tokenizer.decode(ByteTokenizer().encode("é")[:1] if isinstance(tokenizer, ByteTokenizer) else tokens[:1])


def test_a_lone_surrogate_is_refused(tokenizer):
    with pytest.raises(PolicyError, match="surrogate at character 2"):
        tokenizer.encode("ab\udc80")


@pytest.mark.parametrize("bad", [-1, 100_000])
def test_an_id_outside_the_vocabulary_is_refused(tokenizer, bad):
    with pytest.raises(PolicyError, match="outside the vocabulary"):
        tokenizer.decode([1, bad])


def test_save_and_load(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "t")
    again = load_tokenizer(tmp_path / "t")
    assert type(again) is type(tokenizer)
    assert again.fingerprint == tokenizer.fingerprint
    text = "bash cat calc.py <end> ✓"
    assert again.encode(text) == tokenizer.encode(text)
    assert not set(again.encode(text)) & set(again.special.values())


def test_pieces_shorten_what_they_were_trained_on():
    tokenizer = pieces()
    assert tokenizer.vocab_size <= 400
    assert len(tokenizer.encode("bash cat calc.py")) <= 6
    assert len(tokenizer.encode("finish")) == 1


def test_training_is_the_same_in_another_process():
    script = f"from podgym.policy.tokenizer import PieceTokenizer\nprint(PieceTokenizer.train({CORPUS!r}, vocab_size=400).fingerprint)"
    expected = pieces().fingerprint
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


def test_too_small_a_vocabulary_is_refused():
    with pytest.raises(PolicyError, match="cannot hold 256 bytes"):
        PieceTokenizer.train(["a"], vocab_size=100)


def test_directories_that_hold_no_tokenizer(tmp_path):
    with pytest.raises(CheckpointError, match="no readable tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "podgym_tokenizer.json").write_text(json.dumps({"kind": "runes", "fingerprint": ""}))
    with pytest.raises(CheckpointError, match="kind 'runes'"):
        load_tokenizer(tmp_path)
    (tmp_path / "podgym_tokenizer.json").write_text("[]")
    with pytest.raises(CheckpointError, match="no readable"):
        load_tokenizer(tmp_path)
    ByteTokenizer().save(tmp_path)
    with pytest.raises(CheckpointError, match="holds a ByteTokenizer"):
        PieceTokenizer.load(tmp_path)


def test_damaged_and_foreign_pieces_are_refused(tmp_path):
    tokenizer = pieces()
    tokenizer.save(tmp_path)
    assert PieceTokenizer.load(tmp_path).fingerprint == tokenizer.fingerprint
    PieceTokenizer.train(["other text"] * 9, vocab_size=300).save(tmp_path / "other")
    (tmp_path / "tokenizer.json").write_bytes((tmp_path / "other" / "tokenizer.json").read_bytes())
    with pytest.raises(CheckpointError, match="differs from the one"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "BPE", "vocab": {}, "merges": []}}')
    with pytest.raises(CheckpointError):
        load_tokenizer(tmp_path)
