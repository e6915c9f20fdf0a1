"""Which of the eight languages a fix is written in: by the extensions of the files that it changes, then of the whole repository."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from podgym.envs.build.errors import BuildError
from podgym.envs.build.tree import Tree
from podgym.verifiers.protection import Language

__all__ = ["detect_language", "language_shares", "other_languages"]

_EXTENSIONS: Final[dict[str, Language]] = {
    **dict.fromkeys(("py", "pyx", "pxd", "pyi"), "python"),
    "java": "java",
    "go": "go",
    "rs": "rust",
    **dict.fromkeys(("js", "mjs", "cjs", "jsx"), "javascript"),
    **dict.fromkeys(("ts", "mts", "cts", "tsx"), "typescript"),
    "c": "c",
    **dict.fromkeys(("cc", "cpp", "cxx", "c++", "hh", "hpp", "hxx", "ipp", "tpp", "inl"), "cpp"),
}  # fmt: skip
_OTHERS: Final = {
    "rb": "Ruby", "php": "PHP", "cs": "C#", "kt": "Kotlin", "scala": "Scala", "swift": "Swift", "m": "Objective-C", "ex": "Elixir",
    "exs": "Elixir", "erl": "Erlang", "hs": "Haskell", "ml": "OCaml", "lua": "Lua", "pl": "Perl", "pm": "Perl", "r": "R", "jl": "Julia",
    "dart": "Dart", "zig": "Zig", "nim": "Nim", "clj": "Clojure", "fs": "F#", "vb": "Visual Basic", "groovy": "Groovy", "d": "D",
    "cr": "Crystal", "f90": "Fortran", "sh": "shell", "el": "Emacs Lisp", "vue": "Vue", "svelte": "Svelte", "sql": "SQL",
}  # fmt: skip
_NOT_OURS: Final = re.compile(r"(^|/)(vendor|third_party|third-party|node_modules|external|deps|\.git)/")
_DATA: Final = re.compile(
    r"(?i)(^|/)(__fixtures__|__snapshots__|assets|corpus|examples?|fixtures?|golden|resources|samples?|snapshots?|test[-_]?data)/"
)
"""What a program is tried on may be in any language, and many files of it."""
_TEST: Final = re.compile(r"(?i)(^|[/._-])(tests?|specs?)([/._-]|$)|Tests?\.\w+$")
_FAMILIES: Final[dict[Language, Language]] = {"cpp": "c", "typescript": "javascript"}
"""What one module plans is refused under both names or under neither."""
_BUILD_FILES: Final[dict[str, Language]] = {
    "pyproject.toml": "python", "setup.py": "python", "setup.cfg": "python", "pom.xml": "java", "build.gradle": "java",
    "build.gradle.kts": "java", "go.mod": "go", "Cargo.toml": "rust",
}  # fmt: skip
_BUILT_BY: Final[dict[str, Language]] = {**_BUILD_FILES, "package.json": "javascript"}
_MAX_TESTS: Final = 200


def language_shares(paths: Iterable[str]) -> dict[Language, float]:
    """Share of the files of known languages, vendored ones left out; the largest first."""
    counts = Counter(found for path in paths if not _NOT_OURS.search(path) and (found := _language(path)) is not None)
    total = sum(counts.values())
    return {language: count / total for language, count in counts.most_common()} if total else {}


def detect_language(tree: Tree, changed: Iterable[str]) -> Language:
    """The language that the fix is to be built and tested in. Raises `BuildError` (unsupported_language) for a ninth one.

    Data count only where nothing else is changed. `changed` are all changed paths. Where no changed test is in the language of most files,
    and those that are belong to a project of their own language, it is that. A header alone is C++ where the repository's native
    sources mostly are, and a fix of scripts in a project whose build files are another language's still belongs to the scripts.
    """
    paths = [path for path in changed if not _NOT_OURS.search(path)] or list(changed)
    code = [path for path in paths if not _DATA.search(path)]
    paths = code if any(_language(path) is not None or _extension(path) in ("h", *_OTHERS) for path in code) else paths
    own = Counter(found for path in paths if (found := _language(path)) is not None)
    shares = language_shares(tree.paths)
    headers = sum(_extension(path) == "h" for path in paths)
    if headers:
        own["cpp" if shares.get("cpp", 0.0) > shares.get("c", 0.0) else "c"] += headers
    if own:
        best = max(own.values())
        tied = [language for language, count in own.items() if count == best]
        most = _settled(max(tied, key=lambda language: shares.get(language, 0.0)), own, shares)
        return _of_its_tests(tree, paths, most)
    foreign = Counter(name for path in paths if (name := _OTHERS.get(_extension(path))) is not None)
    if foreign:
        name = foreign.most_common(1)[0][0]
        raise BuildError(
            f"The fix is written in {name}.",
            stage="plan",
            reason="unsupported_language",
            remedy="Choose a commit in Python, Java, Go, Rust, JavaScript, TypeScript, C or C++.",
        )
    for name, language in _BUILD_FILES.items():
        if name in tree and shares.get(language, 0.0) > 0:
            return language
    if shares:
        return next(iter(shares))
    raise BuildError(
        "There is no file in any of the eight languages in the repository.",
        stage="plan",
        reason="unsupported_language",
        remedy="Choose a project in Python, Java, Go, Rust, JavaScript, TypeScript, C or C++.",
    )


def _of_its_tests(tree: Tree, paths: Sequence[str], most: Language) -> Language:
    """`most`, or the one language that all changed tests are in, where its build file is above one of them: extensions are tested so."""
    tests = [path for path in paths if _TEST.search(path)]
    languages = {_FAMILIES.get(found, found): found for path in tests if (found := _language(path)) is not None}
    if len(languages) != 1 or _FAMILIES.get(most, most) in languages:
        return most
    (language,) = languages.values()
    names = [name for name, owner in _BUILT_BY.items() if _FAMILIES.get(owner, owner) in languages]
    for path in tests[:_MAX_TESTS]:
        directory = path
        while directory:
            directory = directory.rpartition("/")[0]
            if any(_is_build_file(tree, f"{directory}/{name}".lstrip("/")) for name in names):
                return language
    return most


def _is_build_file(tree: Tree, path: str) -> bool:
    """A `pyproject.toml` and a `setup.cfg` may hold nothing but settings of tools."""
    if path not in tree or not path.endswith((".toml", ".cfg")) or path.endswith("Cargo.toml"):
        return path in tree
    return re.search(r"^[ \t]*\[(project|build-system|tool\.poetry|metadata)\]", tree.read(path) or "", re.MULTILINE) is not None


def other_languages(changed: Sequence[str], first: Language) -> list[Language]:
    """Those besides `first` that a fix may be built in: of its test files, then of the rest, each by number of files."""
    own = [path for path in changed if not _NOT_OURS.search(path) and not _DATA.search(path)]
    tests = Counter(found for path in own if _TEST.search(path) and (found := _language(path)) is not None)
    rest = Counter(found for path in own if (found := _language(path)) is not None)
    seen = {_FAMILIES.get(first, first)}
    others: list[Language] = []
    for language, _ in (*tests.most_common(), *rest.most_common()):
        family = _FAMILIES.get(language, language)
        if family not in seen:
            seen.add(family)
            others.append(language)
    return others


def _settled(language: Language, own: Counter[Language], shares: dict[Language, float]) -> Language:
    """C and C++ in one fix are C++; so are they where the project's own sources are mostly C++."""
    if language in ("c", "cpp"):
        return "cpp" if own["cpp"] and shares.get("cpp", 0.0) > 0.2 * shares.get("c", 0.0) else language
    return language


def _language(path: str) -> Language | None:
    return _EXTENSIONS.get(_extension(path))


def _extension(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name.lstrip(".") else ""
