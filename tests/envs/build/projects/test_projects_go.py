"""Go: vendored modules, a workspace below another module, and a package that does not compile with the hidden tests."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CALC = "package calc\n\nfunc Add(a, b int) int { return a - b }\n\nfunc Twice(a int) int { return 2 * a }\n"
FIXED = CALC.replace("a - b", "a + b") + "\nfunc Sub(a, b int) int { return a - b }\n"
TEST = 'package %s\n\nimport "testing"\n\nfunc %s(t *testing.T) {\n\tif %s {\n\t\tt.Fatal()\n\t}\n}\n'
NEW = """package calc

import "testing"

func TestSub(t *testing.T) {
	if Sub(3, 1) != 2 {
		t.Fatal()
	}
}

func TestAdd(t *testing.T) {
	t.Run("one two", func(t *testing.T) {
		if Add(1, 2) != 3 {
			t.Fatal()
		}
	})
	t.Run("nothing", func(t *testing.T) {
		if Add(0, 0) != 0 {
			t.Fatal()
		}
	})
}
"""
USE = """package use

import (
	"testing"

	"example.org/calc"
)

func %s(t *testing.T) {
	if calc.%s != %d {
		t.Fatal()
	}
}
"""


async def test_vendored_modules_a_workspace_and_a_package_that_the_hidden_tests_break(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("go")
    base = {
        # A module with vendored ones, which a run of `./...` ends at, and below it a workspace of two more.
        "go.mod": "module example.org/all\n\ngo 1.21\n\nrequire example.org/more v1.2.0\n",
        "vendor/modules.txt": "# example.org/more v1.2.0\n## explicit; go 1.21\nexample.org/more\n",
        "vendor/example.org/more/more.go": "package more\n\nconst Zero = 0\n",
        "all.go": 'package all\n\nimport "example.org/more"\n\nfunc Add(a, b int) int { return a - b + more.Zero }\n',
        "work/go.work": "go 1.21\n\nuse (\n\t./calc\n\t./use\n)\n",
        "work/calc/go.mod": "module example.org/calc\n\ngo 1.21\n",
        "work/calc/calc.go": CALC,
        "work/calc/twice_test.go": TEST % ("calc", "TestTwice", "Twice(2) != 4"),
        "work/use/go.mod": "module example.org/use\n\ngo 1.21\n\nrequire example.org/calc v0.0.0\n",
        "work/use/use.go": "package use\n",
        "work/use/use_test.go": USE % ("TestUse", "Twice(3)", 6),
    }
    fix = {
        "all.go": base["all.go"].replace("a - b", "a + b"),
        "all_test.go": TEST % ("all", "TestAll", "Add(1, 2) != 3"),
        "work/calc/calc.go": FIXED,
        "work/calc/sub_test.go": NEW,
        "work/use/sum_test.go": USE % ("TestSum", "Add(2, 2)", 4),
    }
    report = await build(base, fix)
    turned(
        report,
        # `TestAdd/nothing` and the rest did not compile before, and are new; `TestTwice` was there and passed.
        {f"example.org/calc::{name}" for name in ("TestSub", "TestAdd", "TestAdd/one_two", "TestAdd/nothing")}
        | {"example.org/use::TestSum", "example.org/all::TestAll"},
        {"example.org/calc::TestTwice", "example.org/use::TestUse"},
    )
