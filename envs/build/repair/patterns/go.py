"""Go."""

from __future__ import annotations

from typing import Final

from podgym.envs.build.repair.patterns.pattern import Pattern, each, pattern

__all__ = ["GO"]

_STANDARD: Final = {
    "1.16": "embed|io/fs|testing/fstest",
    "1.18": "net/netip|debug/buildinfo",
    "1.19": "go/doc/comment",
    "1.20": "crypto/ecdh|runtime/coverage",
    "1.21": "slices|maps|cmp|log/slog|testing/slogtest",
    "1.22": "math/rand/v2|go/version",
    "1.23": "iter|unique|structs",
    "1.24": "weak|crypto/(?:hkdf|pbkdf2|sha3|mlkem)",
    "1.25": "testing/synctest|encoding/json/v2",
}
"""Packages of the standard library, by the version that brought them."""
_DIRECTIVES: Final = {"1.16": "retract", "1.18": "go\\.work", "1.21": "toolchain|godebug", "1.24": "tool", "1.25": "ignore"}
"""Of go.mod."""

GO: Final[tuple[Pattern, ...]] = (
    pattern("wrong_toolchain", r"(?:requires|require) go ?>= ?(\d+\.\d+)(?:\.\d+|rc\d+)? \(running go", "go >={0}", weight=95),
    pattern("wrong_toolchain", r"note: module requires Go (\d+\.\d+)", "go >={0}", weight=93),
    pattern(
        "wrong_toolchain", r"go\.mod file indicates go (\d+\.\d+)(?:\.\d+)?, but maximum (?:supported )?version", "go >={0}", weight=93
    ),
    pattern(
        "wrong_toolchain",
        r"requires go(?:lang)? ?(?:version )?(?:>=)? ?v?(\d+\.\d+)|[Gg]o (?:version )?(\d+\.\d+)\+? (?:or (?:later"
        r"|newer|higher) )?is required",
        "go >={0}{1}",
        weight=72,
    ),
    pattern("wrong_toolchain", r"invalid go version '(\d+\.\d+)\.\d+': must match format", "go >=1.21", weight=94),
    *each("wrong_toolchain", r"unknown (?:block type|directive): <>(?![\w.])", "go >=<>", _DIRECTIVES, weight=93),
    *each("wrong_toolchain", r"package <> is not in (?:GOROOT|std)", "go >=<>", _STANDARD, weight=93),
    pattern(
        "wrong_toolchain",
        r"type parameters? require(?:s)? go1\.18|undefined: any \(requires version go1\.18|missing return.*requires go1\.18",
        "go >=1.18",
        weight=90,
    ),
    pattern(
        "wrong_toolchain",
        r"(?:undefined: (?:min|max|clear)\b|cannot range over \d+|cannot range over .*variable of type (?:int"
        r"|func)).*(?:requires go(\d+\.\d+))?",
        "go >=1.23",
        weight=70,
    ),
    pattern(
        "wrong_toolchain", r"loop variable .* captured|t\.Context undefined|b\.Loop undefined|t\.Chdir undefined", "go >=1.24", weight=78
    ),
    pattern("wrong_toolchain", r"invalid array length -delta \* delta", "go <1.25", weight=94),
    pattern("wrong_toolchain", r"//go:linkname must refer to declared function or variable", "go <1.18", weight=92),
    pattern("wrong_toolchain", r"link: .*: invalid reference to (?:runtime|syscall|net|time|os|reflect)\.", "go <1.23", weight=90),
    pattern(
        "wrong_toolchain",
        r"internal error: package .* without types was imported|panic: .*unsupported version: 2"
        r"|cannot import .* \(unknown iexport format version",
        "go <1.22",
        weight=80,
    ),
    pattern(
        "go_modules",
        r"missing go\.sum entry|updates to go\.(?:mod|sum) needed|go: updating go\.mod: existing contents have changed",
        "mod",
        weight=90,
    ),
    pattern(
        "go_modules",
        r"inconsistent vendoring|cannot find package .* in vendor|is explicitly required in go\.mod, but not marked as explicit",
        "vendor",
        weight=92,
    ),
    pattern(
        "go_modules",
        r"go: cannot find main module|go\.mod file not found in current directory|no required module provides package",
        "main",
        weight=82,
    ),
    pattern("go_modules", r"verifying .*: checksum mismatch|SECURITY ERROR", "checksum", weight=90),
    pattern(
        "go_modules",
        r"(?:unrecognized import path|reading https://proxy\S+|invalid version: unknown revision|410 Gone)",
        "proxy",
        weight=60,
    ),
    pattern("git_protocol", r"fatal: could not read Username for 'https://([\w.-]+)'", weight=84),
    pattern(
        "missing_program", r"cgo: C compiler \"([^\"]+)\" not found|exec: \"(gcc|cc|clang|g\+\+)\": executable file not found", weight=93
    ),
    pattern("missing_program", r"-race requires cgo|runtime/cgo: .*C compiler", "gcc", weight=86),
    pattern("missing_pkgconfig", r"# pkg-config --\S+ +(?:--\S+ +)*(?:-- )?([\w.+-]+)$", weight=70),
    pattern("version_from_git", r"error obtaining VCS status: exit status|Use -buildvcs=false", "go", weight=95),
)
