"""How each data set spells a task. A reader takes a row as published and gives a `TaskRow`; none fails."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from podgym.envs.formats.patches import reversed_patch, text_patch
from podgym.envs.formats.row import Format, RowFile, TaskRow, issue_text, names, text, when

__all__ = ["READERS", "format_of", "read_mapping"]

Mapped = Mapping[str, Any]

_ID: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SMITH_REPO: Final = re.compile(r"(?:[^/]+/)?(?P<owner>[^/]+?)__(?P<name>[^/]+)\.(?P<commit>[0-9a-f]{8})")
_SMITH_INSTANCE: Final = re.compile(r"(?P<repo>[^/]+?__[^/]+?\.[0-9a-f]{8})\..+")
_RUN: Final = (
    "log_parser", "eval_script", "test_cmd", "test_cmds", "print_cmds", "rebuild_cmds", "install_config", "before_repo_set_cmd",
    "pertest_command", "docker_image_layers", "pre_commands", "f2p_script",
)  # fmt: skip
_LANGUAGES: Final = {"js": "javascript", "ts": "typescript", "c++": "cpp", "golang": "go", "py": "python", "rs": "rust"}


def format_of(row: Mapped) -> Format | None:
    """The data set that a row looks like."""
    if isinstance(row.get("base"), Mapping) or "fix_patch" in row:
        return "multi-swe-bench"
    if "parsed_commit_content" in row:
        return "r2e-gym"
    if "patch" not in row or not (row.get("base_commit") or "instance_id" in row):
        return None
    if not row.get("test_patch") and (_smith_repo(row) is not None):
        return "swe-smith"
    if "install_config" in row:
        return "swe-rebench"
    return "swe-bench-live" if "test_cmds" in row or "docker_image_layers" in row else "swe-bench"


def read_mapping(row: Mapped, kind: Format | None = None) -> TaskRow:
    """A row of the given format, by default of the one that it looks like, or else of SWE-bench."""
    return READERS[kind or format_of(row) or "swe-bench"](row)


def _swe_bench(row: Mapped, kind: Format = "swe-bench") -> TaskRow:
    return TaskRow(
        format=kind,
        repo=text(row.get("repo")),
        base=_full(row.get("base_commit")),
        fix_patch=_patch(row.get("patch") or row.get("fix_patch")),
        test_patch=_patch(row.get("test_patch")),
        fail_to_pass=names(row.get("FAIL_TO_PASS") or row.get("fail_to_pass")),
        pass_to_pass=names(row.get("PASS_TO_PASS") or row.get("pass_to_pass")),
        **_common(row),
    )


def _live(row: Mapped) -> TaskRow:
    return _swe_bench(row, "swe-bench-live")


def _rebench(row: Mapped) -> TaskRow:
    return _swe_bench(row, "swe-rebench")


def _multi(row: Mapped) -> TaskRow:
    base = row.get("base")
    org, repo = text(row.get("org")), text(row.get("repo"))
    turned = [name for key in ("f2p_tests", "s2p_tests", "n2p_tests") for name in names(row.get(key))]
    common = _common(row)
    return TaskRow(
        format="multi-swe-bench",
        repo=f"{org}/{repo}" if org and repo else repo,
        base=_full(base.get("sha") if isinstance(base, Mapping) else row.get("base_commit")),
        fix_patch=_patch(row.get("fix_patch") or row.get("patch")),
        test_patch=_patch(row.get("test_patch")),
        fail_to_pass=tuple(dict.fromkeys(turned)) or names(row.get("FAIL_TO_PASS")),
        pass_to_pass=names(row.get("p2p_tests")) or names(row.get("PASS_TO_PASS")),
        **{**common, "id": common["id"] or (f"{org}__{repo}-{row.get('number')}" if org and repo and row.get("number") else "")},
    )


def _smith(row: Mapped) -> TaskRow:
    found = _smith_repo(row)
    bug = _patch(row.get("patch"))
    return TaskRow(
        format="swe-smith",
        repo=f"{found['owner']}/{found['name']}" if found else text(row.get("repo")),
        base=_full(row.get("base_commit")) or (found["commit"] if found else ""),
        fix_patch=reversed_patch(bug),
        bug_patch=bug,
        fail_to_pass=names(row.get("FAIL_TO_PASS")),
        pass_to_pass=names(row.get("PASS_TO_PASS")),
        **_common(row),
    )


def _smith_repo(row: Mapped) -> re.Match[str] | None:
    """The project and the commit that a mirror's name tells."""
    instance = _SMITH_INSTANCE.fullmatch(text(row.get("instance_id")))
    return _SMITH_REPO.fullmatch(text(row.get("repo"))) or (_SMITH_REPO.fullmatch(instance["repo"]) if instance else None)


def _r2e(row: Mapped) -> TaskRow:
    commit, execution = _object(row.get("parsed_commit_content")), _object(row.get("execution_result_content"))
    expected = _object(row.get("expected_output_json"))
    fix = text(row.get("commit_hash")) or text(commit.get("new_commit_hash"))
    base = text(commit.get("old_commit_hash"))
    repo = text(row.get("repo_name") or row.get("repo"))
    common = _common(row)
    listed = commit.get("file_diffs")
    diffs = [diff for diff in (listed if isinstance(listed, list) else ()) if isinstance(diff, Mapping)]
    files = [(file, diff) for diff in diffs if (file := _whole_file(diff)) is not None]
    return TaskRow(
        format="r2e-gym",
        repo=repo,
        base=base if _ID.fullmatch(base.rstrip("^")) else "",
        fix_patch=b"".join(text_patch(file.path, _content(diff.get("old_file_content")), file.data) for file, diff in files),
        fix_files=tuple(file for file, _ in files),
        test_files=_r2e_tests(execution),
        passing=tuple(name for name, outcome in expected.items() if outcome == "PASSED"),
        **{
            **common,
            "fix": fix,
            "id": common["id"] or (f"{repo.replace('/', '__')}__{fix}" if fix else ""),
            "created": common["created"] or _date(commit.get("commit_date")),
        },
    )


def _whole_file(diff: Mapped) -> RowFile | None:
    """A file as it is after the commit; None for what does not say, such as a binary one."""
    header = diff.get("header")
    file = header.get("file") if isinstance(header, Mapping) else None
    plus = diff.get("plus_file")
    path = text(file.get("path")) if isinstance(file, Mapping) else ""
    after = text(plus.get("path")) if isinstance(plus, Mapping) else ""
    path = path or after.removeprefix("b/")
    if not path or diff.get("is_binary_file"):
        return None
    content = _content(diff.get("new_file_content"))
    removed = after == "/dev/null" or (not content and not after)
    return RowFile(path, None if removed else content or b"")


def _content(value: Any) -> bytes | None:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) and value else None


def _r2e_tests(execution: Mapped) -> tuple[RowFile, ...]:
    codes, paths = execution.get("test_file_codes"), execution.get("test_file_names")
    if not isinstance(codes, list) or not isinstance(paths, list):
        return ()
    both = zip(paths, codes, strict=False)
    found = {text(path).rpartition("/")[2]: text(code).encode("utf-8", "surrogatepass") for path, code in both if text(path) and text(code)}
    return tuple(RowFile(f"r2e_tests/{name}", code) for name, code in found.items())


def _date(value: Any) -> datetime | None:
    """As git prints it."""
    for form in ("%a %b %d %H:%M:%S %Y %z", "%Y-%m-%d %H:%M:%S %z"):
        try:
            return datetime.strptime(text(value), form)
        except ValueError:
            continue
    return when(value)


def _common(row: Mapped) -> dict[str, Any]:
    """What is called the same, or nearly, everywhere."""
    instance = text(row.get("instance_id"))
    tail = re.search(r"-(\d+)$", instance)
    number = str(row.get("number") or row.get("pull_number") or (tail[1] if tail else ""))
    language = text(row.get("language") or row.get("lang") or row.get("repo_language")).lower()
    return {
        "id": instance,
        "fix": text(row.get("merge_commit_sha") or row.get("fix_commit") or row.get("commit")),
        "instruction": text(row.get("problem_statement")) or issue_text(row.get("resolved_issues")),
        "created": when(row.get("created_at")),
        "language": _LANGUAGES.get(language, language),
        "pull": int(number) if number.isdecimal() and number.isascii() and len(number) < 10 else 0,
        "image": next((image for key in ("image_name", "docker_image", "image") if (image := text(row.get(key)))), ""),
        "workdir": text(row.get("repo_directory") or row.get("workdir")),
        "unused": tuple(key for key in _RUN if row.get(key)),
    }


def _full(value: Any) -> str:
    """A full commit id."""
    return text(value) if _ID.fullmatch(text(value)) else ""


def _patch(value: Any) -> bytes:
    return text(value).encode("utf-8", "surrogatepass")


def _object(value: Any) -> Mapped:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


READERS: Final[Mapping[Format, Callable[[Mapped], TaskRow]]] = {
    "swe-bench": _swe_bench,
    "swe-bench-live": _live,
    "swe-rebench": _rebench,
    "multi-swe-bench": _multi,
    "swe-smith": _smith,
    "r2e-gym": _r2e,
}
