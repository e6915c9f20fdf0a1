"""Every rule of the table has an image that breaks it, and it alone; the image without that breaks none."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from podgym.envs.audit import RULES, LayerCache
from podgym.envs.audit.pieces import Budget
from podgym.envs.audit.released import Releases
from podgym.envs.audit.rules import GONE, Tally

FOREIGN = "deadbeef" * 5
GOLD = "    return sorted(values, key=lambda item: item.weight)"
MESSAGE = "things without a weight come last"
FIXED = f'def order(values):\n    """{MESSAGE}"""\n{GOLD}\n'
HIDDEN_LINE = "        self.assertEqual(order([2, 1])[0].weight, 1)"


def idx_of(kit: Any) -> Path:
    """Of the pack with the history; annotated tags are in another."""
    return max((kit.tree / ".git/objects/pack").glob("*.idx"), key=lambda path: path.stat().st_size)


def append(kit: Any, name: str, text: str) -> None:
    kit.put(name, (kit.tree / name).read_text() + text)


def gitfile(kit: Any) -> None:
    shutil.rmtree(kit.tree / ".git")
    kit.put(".git", "gitdir: ../elsewhere\n")


def old_size(kit: Any) -> None:
    kit.put("__pycache__/calc.cpython-311.pyc", b"\xa7\r\r\n" + bytes(4) + b"\1\2\3\4" + (999).to_bytes(4, "little"))


def clone(kit: Any) -> None:
    target = kit.folder / "mirror.git"
    kit.project.git("clone", "-q", "--bare", str(kit.project.origin), str(target))
    files = {f"srv/mirror.git/{path.relative_to(target)}": path.read_bytes() for path in target.rglob("*") if path.is_file()}
    kit.add(files)


def wheel(name: str, version: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return file.getvalue()


def nested(count: int) -> bytes:
    data = b"deep"
    for _ in range(count):
        data = gzip.compress(data)
    return data


def cut_short(kit: Any) -> None:
    kit.add({"opt/data": "x" * 5000})
    kit.layers[-1] = kit.layers[-1][:2000]


BREAKS: dict[str, Callable[[Any], object]] = {
    "git-directory": gitfile,
    "closure": lambda kit: idx_of(kit).with_suffix(".pack").unlink(),
    "objects": lambda kit: kit.git("hash-object", "-w", "--no-filters", str(kit.project.origin / "calc.py")),
    "ids": lambda kit: kit.git("update-index", "--add", "--cacheinfo", f"100644,{FOREIGN},ghost.py"),
    "refs": lambda kit: kit.put(".git/refs/heads/other", kit.subject.base),
    "head": lambda kit: kit.put(".git/HEAD", kit.subject.base + "\n"),
    "index": lambda kit: kit.git("update-index", "--index-version", "4"),
    "config": lambda kit: append(kit, ".git/config", "[core]\n\tsparseCheckout = true\n"),
    "remote": lambda kit: append(kit, ".git/packed-refs", f"{kit.subject.base} refs/remotes/origin/x\n"),
    "promisor": lambda kit: idx_of(kit).with_suffix(".promisor").write_text(""),
    "alternates": lambda kit: kit.put(".git/objects/info/alternates", "/nonexistent/objects\n"),
    "commit-graph": lambda kit: kit.put(".git/objects/info/commit-graph", "x"),
    "pseudo-ref": lambda kit: kit.put(".git/FETCH_HEAD", ""),
    "reflog": lambda kit: kit.put(".git/logs/HEAD", f"{'0' * 40} {kit.subject.base} a <b> 1 +0000\n"),
    "stash": lambda kit: kit.put(".git/refs/stash", kit.subject.base),
    "notes": lambda kit: kit.put(".git/refs/notes/commits", kit.subject.base),
    "replace": lambda kit: kit.put(f".git/refs/replace/{kit.subject.base}", kit.subject.base),
    "worktree": lambda kit: kit.put(".git/worktrees/x/HEAD", kit.subject.base),
    "submodule": lambda kit: kit.put(".git/modules/lib/HEAD", "x"),
    "shallow": lambda kit: kit.put(".git/shallow", kit.subject.base),
    "hooks": lambda kit: kit.put(".git/hooks/pre-commit", "#!/bin/sh\n"),
    "leftover": lambda kit: kit.put(".git/description", "x"),
    "nested-repository": lambda kit: kit.git("init", "-q", "vendor/inner"),
    "image": cut_short,
    "unsearched": lambda kit: kit.add({"opt/deep.gz": nested(6)}),
    "other-repository": clone,
    "pack": lambda kit: kit.add({"opt/history.dat": "# v2 git bundle\n"}),
    "installed-copy": lambda kit: kit.add(
        {"usr/lib/python3/dist-packages/calc_things-1.3.dist-info/METADATA": "Name: calc-things\nVersion: 1.3\n"}
    ),
    "package-cache": lambda kit: kit.add({"root/.cache/pip/http/a/b": wheel("calc_things", "1.3")}),
    "gold-line": lambda kit: kit.add({"usr/lib/python3/dist-packages/calc.py": FIXED}),
    "hidden-test": lambda kit: kit.put("test_calc.py", f"import unittest\n{HIDDEN_LINE}\n"),
    "fix-id": lambda kit: kit.add({"etc/motd": f"see {kit.subject.fix}\n"}),
    "residue": lambda kit: kit.put("calc.py.orig", "x"),
    "stale-build": old_size,
    "environment": lambda kit: kit.config.update(Env=["PATH=/bin", "GIT_ALTERNATE_OBJECT_DIRECTORIES=/srv/objects"]),
    "label": lambda kit: kit.config.update(Labels={"org.opencontainers.image.revision": kit.subject.fix}),
    "entrypoint": lambda kit: kit.config.update(Entrypoint=["git", "show", kit.subject.fix]),
    "build-history": lambda kit: kit.history.extend(["", "COPY fix.patch /home/"]),
    "prompt-commit": lambda kit: kit.say(instruction=f"Mended in {kit.subject.fix[:10]}.\n"),
    "prompt-link": lambda kit: kit.say(instruction="See https://github.com/owner/calc/pull/7/files.\n"),
    "prompt-test": lambda kit: kit.say(instruction="Make test_heavier_last pass.\n"),
    "prompt-solution": lambda kit: kit.say(instruction=f"Write this:\n\n```\n{GOLD}\n```\n"),
}

OF_TASKS = {"too-large", "grading", "archive", "certificate", "provenance", "gold", "hidden-file", "verdicts", "digest"}
"""Broken by hand in `tests/console/test_cli_check.py`."""


def test_the_clean_image_breaks_no_rule(kit: Any) -> None:
    kit.add({"etc/other": "x", "root/.bashrc": ""})
    tally = kit.audit()
    assert tally.findings == ()
    assert (kit.facts.base, kit.facts.workdir) == (kit.subject.base, "/testbed")
    assert kit.facts.objects == len(kit.git("rev-list", "--objects", kit.subject.base).splitlines())
    assert kit.facts.names == 6
    assert tally.checked["gold-line"] > 5 and tally.checked["objects"] == 1


@pytest.mark.parametrize("rule", list(BREAKS))
def test_a_rule_is_broken_alone(kit: Any, rule: str) -> None:
    BREAKS[rule](kit)
    found = kit.audit().findings
    assert {finding.rule for finding in found} == {rule}, [str(finding) for finding in found]
    assert all(finding.place and finding.message and finding.remedy for finding in found)
    assert not any(GONE in finding.message for finding in found)


def test_a_repository_with_too_many_files(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgym.envs.repository.trees.PATHS", 2)
    (finding,) = kit.audit().findings
    assert finding.rule == "repository" and "more than 2 files" in finding.message


def test_every_rule_is_tested() -> None:
    assert set(BREAKS) | OF_TASKS | {"repository"} == set(RULES)
    assert len(RULES) >= 15 and all(text.endswith(".") for text in RULES.values())


def test_every_rule_of_the_repository_is_in_the_table() -> None:
    """Whatever `podgym.envs.repository` may find, the audit can name."""
    folder = Path(__file__).parents[3] / "envs" / "repository"
    found = {
        rule
        for path in folder.glob("*.py")
        for rule in re.findall(r'rule="([a-z-]+)"|_add\(\s*"([a-z-]+)"', path.read_text())
        for rule in rule
        if rule
    }
    assert len(found) > 10
    assert found <= set(RULES)
    with pytest.raises(ValueError, match="not a rule"):
        Tally().add("no-such-rule", "x", "y", "z")


def tgz(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def java_class(text: str) -> bytes:
    return b"\xca\xfe\xba\xbe\0\0\0\x37\0\x02\x01" + len(text).to_bytes(2, "big") + text.encode()


PLACES: dict[str, tuple[str, Callable[[Any], bytes], str]] = {
    "a copy": ("opt/old/calc.py", lambda make: FIXED.encode(), ""),
    "another indentation": ("opt/x.py", lambda make: b"\t\t" + GOLD.strip().encode() + b"\r\n", ""),
    "a patch": ("opt/notes.txt", lambda make: f"@@ -1 +1 @@\n+{GOLD}\n".encode(), ""),
    "a wheel": ("opt/a.whl", lambda make: zipped("calc.py", FIXED.encode()), "!/calc.py"),
    "a source archive": ("opt/a.tar.gz", lambda make: tgz("calc-1/calc.py", FIXED.encode()), "!/calc-1/calc.py"),
    "a wheel without its end": ("opt/a.whl", lambda make: zipped("calc.py", FIXED.encode())[:-30], "!/calc.py"),
    "zstd": ("opt/a.zst", lambda make: zstandard.compress(FIXED.encode()), "!/content"),
    "an archive in an archive": ("opt/a.jar", lambda make: zipped("b.tgz", tgz("calc.py", FIXED.encode())), "!/b.tgz!/calc.py"),
    "compiled": ("opt/calc.cpython-311.pyc", lambda make: make(FIXED), ""),
    "a class": ("opt/Calc.class", lambda make: java_class(MESSAGE), ""),
    "a class in a jar": ("opt/calc.jar", lambda make: zipped("Calc.class", java_class(MESSAGE)), "!/Calc.class"),
    "a shared object": ("opt/calc.so", lambda make: b"\x7fELF\0\0" + MESSAGE.encode() + b"\0", ""),
    "a source map": (
        "opt/app.js.map",
        lambda make: ('{"sourcesContent": ["' + FIXED.replace("\n", "\\n").replace('"', '\\"') + '"]}').encode(),
        "",
    ),
    "the end of a large file": ("opt/large.txt", lambda make: b"a line of its own\n" * 600_000 + GOLD.encode(), ""),
}


@pytest.mark.parametrize("kind", list(PLACES))
def test_the_solution_is_found_in(kit: Any, make_pyc: Any, kind: str) -> None:
    path, make, inner = PLACES[kind]
    kit.add({path: make(make_pyc)})
    (finding,) = kit.audit().findings
    assert finding.rule == "gold-line"
    assert finding.place.endswith(f": /{path}{inner}") and finding.place.startswith("layer 2 ")


def test_what_is_deleted_in_a_later_layer_is_found_and_named(kit: Any) -> None:
    kit.add({"home/fix.txt": f"+{GOLD}\n", "srv/x/calc.py": FIXED})
    kit.add({"home/.wh.fix.txt": "", "srv/.wh..wh..opq": ""})
    found = kit.audit().findings
    assert [(finding.rule, finding.place.partition(" ")[0]) for finding in found] == [("gold-line", "layer")] * 2
    assert all(finding.place.startswith("layer 2 ") and finding.message.endswith(GONE) for finding in found)


def test_a_repository_that_a_later_layer_cleans_is_found(kit: Any, project: Any, layer: Any, leaks: Any) -> None:
    """The clone is in the first layer, the repository that podgym makes over it in the second."""
    checkout = kit.folder / "clone"
    project.git("clone", "-q", str(project.origin), str(checkout))
    first = layer({}, trees={"testbed": checkout})
    second = layer({"testbed/.git/.wh..wh..opq": ""}, trees={"testbed": kit.tree})
    path = kit.folder / "two.tar"
    leaks.write_oci(path, [first, second], {}, [])
    from podgym.envs.audit import audit_image, open_image

    tally = Tally()
    (kit.folder / "scratch").mkdir()
    with open_image(str(path)) as image:
        audit_image(image, kit.subject, tally, kit.folder / "scratch")
    rules = {finding.rule for finding in tally.findings}
    assert {"objects", "remote", "reflog", "gold-line", "hidden-test"} <= rules
    assert all(finding.place.startswith("layer 1 ") and finding.message.endswith(GONE) for finding in tally.findings), [
        str(finding) for finding in tally.findings if GONE not in finding.message
    ]


def test_common_lines_are_nobodys_own(kit: Any) -> None:
    """One line of the fix in nine different files is a way of speaking; all of its lines in one is a copy."""
    kit.add({f"usr/share/x{number}.py": f"# {number}\n{GOLD}\n" for number in range(9)})
    assert kit.rules() == set()
    kit.add({"usr/share/copy.py": f'{GOLD}\n    """{MESSAGE}"""\n'})
    assert [finding.place.partition(": ")[2] for finding in kit.audit().findings] == ["/usr/share/copy.py"]


def test_lines_that_base_has_are_not_the_solutions_own(kit: Any) -> None:
    patch = b"diff --git a/calc.py b/calc.py\n@@ -1 +1,2 @@\n+import unittest\n+project(calcthings VERSION 1.2 LANGUAGES C)\n"
    kit.say(gold_patch=patch)
    kit.add({"opt/x": "project(calcthings VERSION 1.2 LANGUAGES C)\n"})
    assert kit.rules() == set()


def deb(path: str, data: bytes) -> bytes:
    """A Debian package with one file."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as archive:
        info = tarfile.TarInfo(f"./{path}")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": lzma.compress(b""), "data.tar.xz": inner.getvalue()}
    made = b"!<arch>\n"
    for name, part in parts.items():
        made += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(part):<10}`\n".encode() + part + b"\n" * (len(part) % 2)
    return made


COPIES: dict[str, tuple[str, str | bytes, str]] = {
    "python egg-info": ("opt/py/lib/python3.9/site-packages/Calc_Things.egg-info", "Name: Calc-Things\nVersion: 2\n", "installed-copy"),
    "python same version from an index": (
        "opt/s/calc_things-1.2.dist-info/METADATA",
        "Name: calc.things\nVersion: 1.2\n",
        "installed-copy",
    ),
    "conda": ("opt/conda/conda-meta/calc-things-1.3-0.json", '{"name": "calc-things", "version": "1.3"}', "installed-copy"),
    "conda pkgs": ("opt/conda/pkgs/calc-1.3/info/index.json", '{"name": "calc-things", "version": "1.3"}', "package-cache"),
    "maven": ("root/.m2/repository/org/calc/things/1.3/things-1.3.jar", "x", "package-cache"),
    "gradle": ("root/.gradle/caches/modules-2/files-2.1/org.calc/things/1.3/abc0/things-1.3.jar", "x", "package-cache"),
    "jar": (
        "srv/app.jar",
        zipped("META-INF/maven/a/b/pom.properties", b"groupId=org.calc\nartifactId=things\nversion=1.3\n"),
        "package-cache",
    ),
    "go module": ("root/go/pkg/mod/example.org/!calc/things@v1.3.0/go.mod", "x", "installed-copy"),
    "go download": ("root/go/pkg/mod/cache/download/example.org/!calc/things/@v/v1.3.0.zip", "x", "package-cache"),
    "crate": ("root/.cargo/registry/src/index-1/calc_things-1.3.0/Cargo.toml", "", "installed-copy"),
    "crate archive": ("root/.cargo/registry/cache/index-1/calc-things-1.3.0.crate", "x", "package-cache"),
    "node": ("usr/lib/node_modules/@calc/things/package.json", '{"name": "@calc/things", "version": "1.3.0"}', "installed-copy"),
    "node in the work tree": (
        "testbed/node_modules/@calc/things/package.json",
        '{"name": "@calc/things", "version": "1.3.0"}',
        "installed-copy",
    ),
    "npm cache": (
        "root/.npm/_cacache/index-v5/aa/bb",
        'x\t{"key": "make-fetch-happen:request-cache:https://r.example.org/@calc/things/-/things-1.3.0.tgz"}',
        "package-cache",
    ),
    "yarn cache": (
        "root/.yarn/cache/a.zip",
        zipped("node_modules/@calc/things/package.json", b'{"name": "@calc/things", "version": "1.3.0"}'),
        "package-cache",
    ),
    "pnpm store": (
        "root/.local/share/pnpm/store/v3/files/aa/bb-index.json",
        '{"name": "@calc/things", "version": "1.3.0"}',
        "package-cache",
    ),
    "pkg-config": ("usr/lib/pkgconfig/calcthings.pc", "Name: x\nVersion: 1.3\n", "installed-copy"),
    "shared library": ("usr/lib/x86_64-linux-gnu/libcalcthings.so.4", b"\x7fELF\0", "installed-copy"),
    "headers": ("usr/include/calcthings/api.h", "", "installed-copy"),
}


@pytest.mark.parametrize("kind", list(COPIES))
def test_a_copy_of_the_project_is_found(kit: Any, kind: str) -> None:
    path, data, rule = COPIES[kind]
    kit.add({path: data})
    (finding,) = kit.audit().findings
    assert finding.rule == rule
    assert "copy of the project itself" in finding.message


def test_what_is_no_newer_copy(kit: Any) -> None:
    """Older releases, other packages, development installs, and an installation from the work tree itself."""
    site, venv = "usr/lib/python3/dist-packages", "opt/venv/lib/python3.11/site-packages/calc_things-1.2.dist-info"
    kit.add(
        {
            f"{site}/calc_things-1.1.dist-info/METADATA": "Name: calc-things\nVersion: 1.1\n",
            f"{site}/other-9.dist-info/METADATA": "Name: other\nVersion: 9\n",
            f"{venv}/METADATA": "Name: calc-things\nVersion: 1.2\n",
            f"{venv}/direct_url.json": '{"url": "file:///testbed", "dir_info": {"editable": true}}',
            "usr/lib/node_modules/@calc/things/package.json": '{"name": "@calc/things", "version": "1.2.0"}',
            "root/.cargo/registry/src/index-1/calc-things-1.1.9/Cargo.toml": "",
            "usr/lib/pkgconfig/calcthings.pc": "Version: 1.1\n",
        }
    )
    kit.put("Calc_Things.egg-info/PKG-INFO", "Name: Calc-Things\nVersion: 1.2\n")
    assert kit.rules() == set()


def dpkg(version: str, *, package: str = "libcalcthings4") -> dict[str, str]:
    """What Debian's package manager writes of a library and its headers."""
    files = "/.\n/usr\n/usr/lib/x86_64-linux-gnu/libcalcthings.so.4\n/usr/include/calcthings\n/usr/include/calcthings/api.h\n"
    status = f"Package: other\nVersion: 9\n\nPackage: {package}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
    return {f"var/lib/dpkg/info/{package}:amd64.list": files, "var/lib/dpkg/status": status}


@pytest.mark.parametrize(
    ("version", "is_found"), [("1.1-2", False), ("1.2+dfsg-1", False), ("1:1.1.9-1ubuntu2", False), ("1.3-1", True), ("", True)]
)
def test_what_the_distribution_has_is_of_the_release_that_it_says(kit: Any, version: str, is_found: bool) -> None:
    library = {"usr/lib/x86_64-linux-gnu/libcalcthings.so.4": b"\x7fELF\0", "usr/include/calcthings/api.h": ""}
    kit.add({**library, **(dpkg(version) if version else {})})
    findings = kit.audit().findings
    assert {finding.rule for finding in findings} == ({"installed-copy"} if is_found else set())
    assert all(("version 1.3" in finding.message) is bool(version) for finding in findings)


def test_an_archive_of_the_distribution_says_its_version(kit: Any) -> None:
    for version, is_found in (("1%3a1.1-2", False), ("1.3-2", True)):
        kit.add({f"var/cache/apt/archives/libcalcthings4_{version}_amd64.deb": deb("usr/lib/libcalcthings.so.4", b"\x7fELF\0")})
        assert kit.rules() == ({"package-cache"} if is_found else set())


def test_what_the_build_of_ours_made_is_bases(kit: Any) -> None:
    files = {"opt/podgym/build/lib/libcalcthings.a": b"!<arch>\n", "opt/podgym/build/include/calcthings.h": ""}
    kit.add(files)
    assert kit.rules() == {"installed-copy"}
    kit.say(built=("/opt/podgym/build", "/opt/podgym/tools/"))
    assert kit.rules() == set()
    kit.add({"opt/podgym/builders/lib/libcalcthings.a": b"!<arch>\n"})
    assert kit.rules() == {"installed-copy"}, "beside it is not in it"


def test_a_release_in_bases_history_is_no_newer_copy(kit: Any) -> None:
    """As where a test runner depends on the project that it tests, and the project takes its version from its tags."""
    site = "opt/venv/lib/python3.11/site-packages/calc_things-1.5.dist-info/METADATA"
    kit.add({site: "Name: calc-things\nVersion: 1.5\n"})
    assert kit.rules() == {"installed-copy"}
    kit.put(".git/refs/tags/other-1.9", kit.subject.base)
    assert kit.rules() == {"installed-copy"}, "another part's release"
    kit.put(".git/refs/tags/v1.5", kit.subject.base)
    assert kit.rules() == set()
    kit.add({site: "Name: calc-things\nVersion: 1.6\n"})
    assert kit.rules() == {"installed-copy"}


@pytest.mark.parametrize(
    ("tags", "package", "version", "held"),
    [
        (["v1.2.0", "1.10.0"], "calc", "1.9", True),
        (["v1.2.0"], "calc", "1.2.1", False),
        (["calc-2.0", "other-3.0"], "Calc", "2.0", True),
        (["other-3.0"], "calc", "2.0", False),
        (["release-1.4", "nightly", "v2"], "calc", "1.4", True),
        (["@scope/calc@3.1.0"], "@scope/calc", "3.0.9", True),
        (["v1.0"], "calc", "", False),
        ([], "calc", "1.0", False),
    ],
)
def test_releases_by_tags(tags: list[str], package: str, version: str, held: bool) -> None:
    assert Releases(tags).hold(package, version) is held


def test_a_remembered_layer_answers_like_a_read_one(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgym.envs.audit.cache._LEAST_BYTES", 0)
    kit.cache = LayerCache(kit.folder / "cache")
    kit.add({"usr/lib/python3/dist-packages/calc_things-1.3.dist-info/METADATA": "Name: calc-things\nVersion: 1.3\n", "opt/x.orig": "x"})
    kit.add({"opt/calc.py": FIXED})
    kit.add({"opt/plain.txt": "nothing in particular\n", "opt/.wh.calc.py": ""})
    first = kit.audit()
    assert kit.facts.audited.remembered == 0
    again = kit.audit()
    assert again.findings == first.findings
    assert [GONE in finding.message for finding in first.findings if finding.rule == "gold-line"] == [True]
    assert {finding.rule for finding in first.findings} == {"installed-copy", "residue", "gold-line"}
    # The repository's layer is always read, and that with the solution's lines has to be.
    assert kit.facts.audited.remembered == 2
    assert again.checked == first.checked
    kit.say(gold_patch=b"", test_patch=b"")
    assert kit.rules() == {"installed-copy", "residue"}
    assert kit.facts.audited.remembered == 3


@pytest.mark.parametrize("kind", ["json", "npz", "*"])
def test_damaged_memories_are_read_anew(kit: Any, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr("podgym.envs.audit.cache._LEAST_BYTES", 0)
    kit.cache = LayerCache(kit.folder / "cache")
    kit.add({"opt/x.orig": "x"})
    assert kit.rules() == {"residue"}
    for path in (kit.folder / "cache").glob(f"*.{kind}"):
        path.write_bytes(path.read_bytes()[:40])
    assert kit.rules() == {"residue"}
    assert kit.facts.audited.remembered == 0


def test_one_budget_for_the_archives_of_all_layers(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgym.envs.audit.cache._LEAST_BYTES", 0)
    kit.cache = LayerCache(kit.folder / "cache")
    for number in range(3):
        kit.add({f"opt/{number}.zip": wheel("things", "1")})
    assert kit.rules() == set()
    kit.cache = LayerCache(kit.folder / "other")
    monkeypatch.setattr("podgym.envs.audit.imageaudit.Budget", lambda told: Budget(told, members_left=2))
    assert [finding.place.rpartition("/")[2] for finding in kit.audit().findings if finding.rule == "unsearched"] == ["2.zip"]
    assert len(list((kit.folder / "other").glob("*.npz"))) == len(list((kit.folder / "cache").glob("*.npz"))) - 1


def test_base_and_place_are_found(kit: Any, project: Any) -> None:
    """An image that nobody knows anything about: the repository is found by its shape, base is where HEAD is."""
    kit.say(base="", workdir="", ours=False)
    assert kit.rules() == set()
    assert kit.facts.base == project.subject.base
    assert any("taken to be" in note for note in kit.facts.notes)
    shutil.rmtree(kit.tree / ".git")
    kit.say(base=project.subject.base)
    assert kit.rules() == {"git-directory"}


def test_foreign_repositories_may_have_what_any_clone_leaves(kit: Any, project: Any) -> None:
    shutil.rmtree(kit.tree)
    project.git("init", "-q", "-b", "trunk", str(kit.tree))
    kit.git("fetch", "-q", str(project.origin), f"{project.subject.base}:refs/heads/work", "--no-write-fetch-head")
    kit.git("checkout", "-q", "work")
    kit.git("gc", "-q")
    assert kit.rules() & {"hooks", "leftover"}
    kit.say(ours=False)
    assert kit.rules() == set()
    kit.git("fetch", "-q", str(project.origin), "main")
    found = {finding.rule: finding.message for finding in kit.audit().findings}
    assert set(found) >= {"objects", "pseudo-ref", "ids"}
    assert "1 of them commits" in found["objects"]


def test_the_prompt_may_speak_of_history_and_of_others(kit: Any) -> None:
    kit.say(instruction=f"Since {kit.subject.base} things are off, as in https://github.com/other/thing/pull/7 and deadbeef1.\n")
    assert kit.rules() == set()
    kit.say(instruction=f"Since {FOREIGN} things are off; PR #7 mends it.\n")
    assert kit.rules() == {"prompt-commit", "prompt-link"}
