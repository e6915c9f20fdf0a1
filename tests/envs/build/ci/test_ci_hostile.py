from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from podgym.envs.build.ci import CiFacts, read_ci
from podgym.envs.build.ci.document import DocumentError, Reference, load_documents
from podgym.envs.build.tree import Tree

Reader = Callable[[Mapping[str, str]], CiFacts]

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
FILES = (
    ".github/workflows/ci.yml", ".github/actions/x/action.yml", ".gitlab-ci.yml",
    ".travis.yml", ".circleci/config.yml", "azure-pipelines.yml",
    "appveyor.yml", ".cirrus.yml", "bitbucket-pipelines.yml", ".drone.yml", ".build.yml", "Dockerfile", ".devcontainer/devcontainer.json",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "more than"),
        ("a:\n\t- b", "not YAML"),
        ("[" * 200, "nested deeper"),
        ("[" * 5000, "nest"),
        ("a: &x [*x]\nb: {", "not YAML"),
        ("x" * (600 << 10), "characters"),
        ("- a\n" * 70_000, "more than"),
        ("a: \x00", "not YAML"),
    ],
)
def test_what_is_no_document_is_a_note_with_the_reason(read: Reader, text: str, why: str) -> None:
    with pytest.raises(DocumentError, match=why):
        load_documents(text)
    facts = read({".gitlab-ci.yml": text, ".travis.yml": "language: go\ngo: 1.20\n"})
    assert facts.versions == {"go": ("1.20",)}
    assert [".gitlab-ci.yml" in note for note in facts.notes] == [True]


def test_scalars_are_texts_tags_are_ignored_and_the_last_key_counts() -> None:
    text = "on: yes\nv: 3.10\nd: 2020-01-01\ne: ~\nt: !!python/object/apply:os.system [x]\nk: 1\nk: 2\nr: !reference [a, b]\nq: !x 'null'\n"
    assert load_documents(text) == [
        {"on": "yes", "v": "3.10", "d": "2020-01-01", "e": None, "t": ["x"], "k": "2", "r": Reference(("a", "b")), "q": "null"}
    ]


def test_merge_keys_and_anchors() -> None:
    assert load_documents("b: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}\nd: {<<: [*b, {z: 4}]}\n---\nsecond") == [
        {"b": {"x": "1", "y": "2"}, "c": {"x": "1", "y": "3"}, "d": {"z": "4", "x": "1", "y": "2"}},
        "second",
    ]


def test_a_recursive_alias_is_nothing() -> None:
    assert load_documents("a: &a [x, *a]") in ([{"a": ["x", None]}], [{"a": ["x", "x"]}])


_NAMES = """
on jobs steps run uses with if env matrix strategy include exclude image script extends default variables services parallel docker
commands parameters executors workflows task container addons apt packages python os stages template pool inputs name push runs-on
defaults features for pipelines
"""
_KEYS = st.sampled_from(sorted(_NAMES.split()))
_LEAVES = st.one_of(
    st.none(),
    st.sampled_from(
        [
            "apt-get install -y libx-dev",
            "${{ matrix.a }}",
            "<< parameters.x >>",
            "$(x)",
            "./.github/actions/x",
            "python:3.11",
            "push",
            "linux",
        ]
    ),
    st.text(max_size=12),
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=5)), max_leaves=30
)


@settings(max_examples=150, deadline=None)
@given(value=_VALUES)
def test_no_document_leads_a_reader_to_a_traceback(value: Any) -> None:
    text = yaml.safe_dump(value).encode()
    facts = read_ci(Tree(FILES, lambda _: text))
    assert not any("in part" in note for note in facts.notes)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200))
def test_no_bytes_do_either(data: bytes) -> None:
    read_ci(Tree(FILES, lambda _: data))


def test_links_and_missing_files_are_notes(read: Reader) -> None:
    facts = read_ci(Tree([".gitlab-ci.yml"], lambda _: None))
    assert facts.notes == (".gitlab-ci.yml was not read: it is a link, or too large.",)
    assert read({}) == CiFacts()
