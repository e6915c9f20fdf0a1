"""What decides how a project is built and tested, by language: globs as in .gitignore, matched in any case.

`TESTS` are tests, their data, and the helpers that tests are written with; `CONFIGURATION` is what builds, and what the runner
reads. A source file of an honest fix must not match: names that are tests in one language and sources in another are bound to
that language's extensions, `testing/` (NumPy's, Go's) is nobody's, and `*Test.*` would be `latest.*` too. Tests inside of
a source file are restored by `podgym.verifiers.protection.inline`; those in other documentation are the source's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

__all__ = ["CONFIGURATION", "PROTECTED", "TESTS", "Language", "protected"]

Language = Literal["python", "java", "go", "rust", "javascript", "typescript", "c", "cpp"]

_SCRIPTS: Final = ("js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx")
_NATIVE: Final = ("c", "cc", "cpp", "cxx", "h", "hh", "hpp")

_ANY: Final = (
    "tests/", "test/", "__snapshots__/", "*.snap", "*.ambr", "testdata/", "test-data/", "test_data/", "testutil/", "testutils/",
    "test-utils/", "test_utils/", "testhelper/", "testhelpers/", "test-helpers/", "test_helpers/", "testlib/", "testsupport/",
)  # fmt: skip
_SCRIPT_TESTS: Final = (
    "__tests__/", "__mocks__/", "__fixtures__/", "cypress/",
    *(f"{name}.{end}" for name in ("*.test", "*.spec", "*.test-d", "*.e2e", "*-test", "*_test") for end in _SCRIPTS),
    *(f"{name}.{end}" for name in ("test-*", "test", "tests") for end in _SCRIPTS),
    *(f"**/{name}/**.{end}" for name in ("spec", "specs", "e2e") for end in _SCRIPTS),
    *(f"{name}.{end}" for name in ("jest.setup*", "vitest.setup*", "setupTests", "setup-tests") for end in _SCRIPTS),
)  # fmt: skip
_NATIVE_TESTS: Final = (
    *(f"{name}.{end}" for name in ("test_*", "*_test", "*_tests", "*_unittest", "*-test", "test", "tests") for end in _NATIVE),
    "unittests/", "googletest/", "gtest/", "gmock/", "catch2/", "doctest.h", "catch.hpp", "catch_amalgamated.*", "*.bats", "*.t",
)  # fmt: skip

TESTS: Final[dict[Language, tuple[str, ...]]] = {
    "python": ("test_*.py", "*_test.py", "tests.py", "conftest.*", "conftest/"),
    "java": (
        *(f"**/src/{name}/**" for name in ("it", "*-test", "test-*", "testFixtures", "integrationTest", "functionalTest", "intTest")),
        *(f"**/src/{name}/**" for name in ("androidTest", "systemTest", "acceptanceTest", "smokeTest", "componentTest", "contractTest")),
        "META-INF/services/org.junit*", "**/META-INF/services/org.junit*", "**/META-INF/services/org.testng*",
        "**/META-INF/services/org.spockframework*",
    ),
    "go": ("*_test.go",),
    "rust": ("tests.rs", "test.rs", "test_*.rs", "*_test.rs", "*_tests.rs", "benches/"),
    "javascript": _SCRIPT_TESTS,
    "typescript": _SCRIPT_TESTS,
    "c": _NATIVE_TESTS,
    "cpp": _NATIVE_TESTS,
}  # fmt: skip

_SCRIPT_CONFIGURATION: Final = (
    "package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "pnpm-workspace.yaml", "bun.lock*",
    ".npmrc", ".yarnrc*", ".yarn/", ".pnpmfile*", "bunfig.toml", "deno.json*", "deno.lock", "node_modules/", "lerna.json", "nx.json",
    "turbo.json", "jest.config.*", "jest-*.config.*", "jest.*.config.*", "jest.preset.*", "jest.resolver.*", "jest.transform*",
    "vitest.config.*", "vitest.*.config.*", "vitest.workspace.*", "vite.config.*", ".mocharc*", "mocha.opts", "karma.conf*",
    "ava.config.*", ".taprc", "jasmine.json", "*jasmine*.config.*", ".nycrc*", ".c8rc*", "babel.config.*", ".babelrc*", ".swcrc",
    "tsconfig*.json", "jsconfig*.json", "playwright.config.*", "cypress.config.*", "cypress.json", "webpack.config.*", "webpack.*.js",
    "rollup.config.*", "tsup.config.*", "gulpfile.*", "gruntfile.*", "wdio.conf.*", "web-test-runner.config.*", ".browserslistrc",
    "angular.json", "rspack.config.*", "esbuild.config.*",
)  # fmt: skip
_NATIVE_CONFIGURATION: Final = (
    "CMakeLists.txt", "*.cmake", "*.cmake.in", "CMakePresets.json", "CMakeUserPresets.json", "CTest*.txt", "Makefile*", "GNUmakefile*",
    "*.mk", "*.mak", "*.am", "*.m4", "configure", "configure.ac", "configure.in", "autogen.sh", "bootstrap.sh", "config.site",
    "meson.build", "meson_options.txt", "meson.options", "*.wrap", "*.ninja", "WORKSPACE*", "MODULE.bazel*", "BUILD", "BUILD.bazel",
    "*.bzl", ".bazelrc", "SConstruct", "SConscript*", "wscript", "xmake.lua", "premake*.lua", "conanfile.*", "vcpkg*.json", "*.gyp",
    "*.gypi", "*.specs",
)  # fmt: skip

CONFIGURATION: Final[dict[Language, tuple[str, ...]]] = {
    "python": (
        "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "setup.cfg", "pyproject.toml", "setup.py",
        "noxfile.py", "tox.toml", ".coveragerc", "sitecustomize.*", "usercustomize.*", "sitecustomize/", "usercustomize/", "*.pth",
        "pyvenv.cfg", "hatch.toml", "pdm.toml", "uv.toml", ".python-version",
    ),
    "java": (
        "pom.xml", "*.pom", ".mvn/", "mvnw*", "*.gradle", "*.gradle.kts", "gradle.properties", "/gradle/", "gradle-wrapper.*",
        "libs.versions.toml", "gradlew*", "buildSrc/", "build-logic/", "build.xml", "ivy.xml", "ivysettings.xml", "build.sbt",
        "junit-platform.properties", "testng*.xml", "toolchains.xml", "jvm.config", "maven.config", ".java-version", ".sdkmanrc",
    ),
    "go": ("go.mod", "go.sum", "go.work", "go.work.sum", "go.env", "**/vendor/**.go", "**/vendor/modules.txt", "vendor/modules.txt"),
    "rust": (
        "Cargo.toml", "Cargo.lock", "build.rs", ".cargo/", "rust-toolchain*", "nextest.toml", ".config/nextest.toml", "Cross.toml",
        "**/vendor/**.rs",
    ),
    "javascript": _SCRIPT_CONFIGURATION,
    "typescript": _SCRIPT_CONFIGURATION,
    "c": _NATIVE_CONFIGURATION,
    "cpp": _NATIVE_CONFIGURATION,
}  # fmt: skip
_ANY_CONFIGURATION: Final = (
    "Makefile", "GNUmakefile", ".gitattributes", ".env", ".env.*", ".envrc", ".tool-versions", "mise.toml", ".mise.toml", ".nvmrc",
    ".node-version", "justfile", "Taskfile.y*ml",
)  # fmt: skip


def protected(languages: Iterable[Language]) -> tuple[str, ...]:
    """The globs of these languages, and those of every language."""
    found = [*_ANY, *_ANY_CONFIGURATION]
    for language in languages:
        found += [*TESTS[language], *CONFIGURATION[language]]
    return tuple(dict.fromkeys(found))


PROTECTED: Final = protected(get_args(Language))
"""Of all languages: a task's project may be of several, and no language's globs match another's sources."""
