import string
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs.build.languages.go.gomod import Modules, parse_gomod
from podgym.envs.build.languages.go.legacy import import_path, pinned_modules
from podgym.envs.build.languages.go.source import constraint_tags, debian_packages, imports_of
from podgym.envs.build.languages.go.toolchain import released_by
from podgym.envs.build.tree import Tree

GOMOD = """\
module "example.org/a" // comment

go 1.21.3

toolchain go1.22.5

require example.org/one v1.2.3
require (
\texample.org/two v0.1.0 // indirect
\t"example.org/three" v2.0.0+incompatible
)

replace example.org/one => ./one

replace (
\texample.org/two v0.1.0 => ../two
\texample.org/three => example.org/other v1.0.0
)
retract [v1.0.0, v1.1.0]
tool example.org/tool
"""


def tree(files: dict[str, str]) -> Tree:
    return Tree(files, lambda path: files[path].encode())


def test_gomod_is_read_as_go_reads_it() -> None:
    found = parse_gomod(GOMOD)
    assert (found.module, found.go, found.toolchain) == ("example.org/a", "1.21.3", "1.22.5")
    assert found.requires == {("example.org/one", "v1.2.3"), ("example.org/two", "v0.1.0"), ("example.org/three", "v2.0.0+incompatible")}
    assert found.replaces == ("./one", "../two")
    assert parse_gomod("go 1.22\nuse (\n\t.\n\t./x\n)\nuse ./y\n").uses == (".", "./x", "./y")


@given(st.text(alphabet=string.printable, max_size=400))
def test_no_gomod_is_too_odd(text: str) -> None:
    parse_gomod(text)
    imports_of(text)
    constraint_tags(text)
    debian_packages([text])


ERRORS = 'package errors_test\nimport (\n\t"fmt"\n\t"github.com/pkg/errors"\n)\n'
FILES = {
    "go.mod": "module example.org/top\ngo 1.20\n",
    "go.work": "go 1.22\nuse (\n.\n./sub\n)\n",
    "a_test.go": "",
    "pkg/b_test.go": "",
    "pkg/testdata/c_test.go": "",
    "_old/d_test.go": "",
    "sub/go.mod": "module example.org/top/sub\n",
    "sub/deep/e_test.go": "",
    "apart/go.mod": "module example.org/apart\n",
    "vendor/example.org/x/go.mod": "module example.org/x\n",
}


def test_files_belong_to_the_module_above_them() -> None:
    modules = Modules(tree(FILES))
    assert [modules.of(path) for path in ("a_test.go", "sub/deep/e_test.go", "vendor/example.org/x/x.go")] == ["", "sub", ""]
    assert modules.packages("") == ["", "pkg"] and modules.packages("sub") == ["deep"]
    assert [modules.in_workspace(directory) for directory in ("", "sub", "apart")] == [True, True, False]


@pytest.mark.parametrize(
    ("files", "path", "where"),
    [
        ({"a.go": 'package a // import "example.org/a"\n'}, "example.org/a", "comment"),
        ({"a.go": "package a\n", ".travis.yml": "go_import_path: example.org/t\n"}, "example.org/t", "CI"),
        ({"m.go": 'package main\nimport "github.com/me/it/pkg/x"\n', "pkg/x/x.go": "package x\n"}, "github.com/me/it", "import"),
        (
            {"a.go": "package errors\n", "e_test.go": ERRORS},
            "github.com/pkg/errors",
            "import",
        ),
        ({"a.go": "package a\n", "README.md": "Run `go get -u github.com/me/a/...`\n"}, "github.com/me/a", "README"),
        ({"a.go": "package a\n", "cmd/a/m.go": "", "README.md": "`go get github.com/me/a/cmd/a`\n"}, "github.com/me/a", "README"),
        ({"a.go": "package a\n"}, "example.org/project", "nothing"),
    ],
)
def test_the_path_of_a_repository_without_modules_is_found(files: dict[str, str], path: str, where: str) -> None:
    found, why = import_path(tree(files), ())
    assert found == path and where in why


def test_versions_that_older_tools_pinned_are_kept() -> None:
    files = {
        "Gopkg.lock": '[[projects]]\n  name = "example.org/a"\n  revision = "abcdef1"\n  version = "v1.0.0"\n'
        '[[projects]]\n  name = "bad name"\n',
        "glide.lock": "imports:\n- name: example.org/b\n  version: 0123456\n",
        "Godeps/Godeps.json": '{"Deps": [{"ImportPath": "example.org/c/d/e", "Comment": "x", "Rev": "0123456789"}]}',
        "vendor/vendor.json": '{"package": [{"checksumSHA1": "x", "path": "example.org/f", "revision": "fedcba9"}]}',
    }
    assert pinned_modules(tree(files)) == {
        "example.org/a": "v1.0.0",
        "example.org/b": "0123456",
        "example.org/c/d": "0123456789",
        "example.org/f": "fedcba9",
    }


@pytest.mark.parametrize(
    ("line", "tags"),
    [
        ("//go:build integration", ["integration"]),
        ("//go:build integration && !windows", ["integration"]),
        ("//go:build linux || darwin", []),
        ("//go:build !race", []),
        ("//go:build go1.18", []),
        ("// +build e2e,linux", ["e2e"]),
        ("package a", []),
    ],
)
def test_tags_of_the_projects_own_are_found(line: str, tags: list[str]) -> None:
    assert constraint_tags(f"{line}\n\npackage a\n") == tags


def test_c_libraries_become_debian_packages() -> None:
    source = (
        '/*\n#cgo pkg-config: libxml-2.0 nobody-knows\n#cgo linux LDFLAGS: -lm -lpcap\n#cgo windows LDFLAGS: -lsqlite3\n*/\nimport "C"\n'
    )
    assert debian_packages([source]) == (["libxml2-dev", "libpcap-dev"], ["nobody-knows"])


@pytest.mark.parametrize(
    ("day", "version"), [(date(2021, 3, 1), "1.16"), (date(2023, 1, 1), "1.19"), (date(2023, 9, 1), "1.21"), (date(2010, 1, 1), "1.4")]
)
def test_the_release_of_a_day_is_counted(day: date, version: str) -> None:
    assert released_by(day) == version
