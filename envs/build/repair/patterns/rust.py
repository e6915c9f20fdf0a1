"""Cargo, rustc and the crates that build C code."""

from __future__ import annotations

from typing import Final

from podgym.envs.build.repair.patterns.pattern import Pattern, pattern

__all__ = ["RUST"]

RUST: Final[tuple[Pattern, ...]] = (
    pattern("wrong_toolchain", r"requires rustc (\d+\.\d+)(?:\.\d+)?(?: or newer)?", "rust >={0}", weight=94),
    pattern("wrong_toolchain", r"rustc (\d+\.\d+)(?:\.\d+)? (?:or newer |or later )?is required", "rust >={0}", weight=94),
    pattern(
        "wrong_toolchain",
        r"(?:supported|minimum|requires|MSRV).{0,40}?(?:[Rr]ust|rustc) ?(?:version )?>=? ?(\d+\.\d+)",
        "rust >={0}",
        weight=70,
    ),
    pattern("wrong_toolchain", r"feature `edition2024` is required|older than the `2024` edition", "rust >=1.85", weight=95),
    pattern("wrong_toolchain", r"feature `edition2021` is required|older than the `2021` edition", "rust >=1.56", weight=95),
    pattern(
        "wrong_toolchain",
        r"lock file version `?4`? (?:requires `-Znext-lockfile-bump`|was found, but this version)",
        "rust >=1.78",
        weight=95,
    ),
    pattern("wrong_toolchain", r"lock file version `?3`? (?:was found|requires)", "rust >=1.53", weight=90),
    pattern(
        "wrong_toolchain",
        r"feature `(?:workspace-inheritance|workspace_inheritance)` is required"
        r"|invalid type: map, expected a (?:semver )?(?:string|version)",
        "rust >=1.64",
        weight=90,
    ),
    pattern("wrong_toolchain", r"feature `resolver` is required", "rust >=1.51", weight=88),
    pattern(
        "wrong_toolchain",
        r"(?:namespaced features|weak dependency features).*(?:only available|not supported)|feature includes `dep:",
        "rust >=1.60",
        weight=88,
    ),
    pattern(
        "wrong_toolchain",
        r"error\[E0658\]: (?:use of unstable (?:library )?feature|`let` expressions in this position are unstable"
        r"|\S+ (?:is|are) (?:unstable|experimental))",
        "rust >=1.88",
        weight=82,
    ),
    pattern("wrong_toolchain", r"error\[E0282\]: type annotations needed for `Box<_>`", "rust <1.80", weight=93),
    pattern(
        "wrong_toolchain",
        r"error: unknown lint|cannot find macro `\w+` in this scope.*std|no method named `(?:is_none_or|as_chunks"
        r"|div_ceil|is_some_and)` found",
        "rust >=1.82",
        weight=55,
    ),
    pattern("wrong_toolchain", r"unknown feature `proc_macro_span_shrink`", "rust <1.70", weight=90),
    pattern(
        "unstable_feature",
        r"error\[E0554\]: `#!\[feature\]` may not be used on the (?:stable|beta)"
        r"|the option `Z` is only accepted on the nightly|-Z.*only accepted on the nightly",
        weight=93,
    ),
    pattern(
        "unstable_feature",
        r"cargo-features? .*(?:requires|only).*nightly|may only be used (?:with|on) (?:a )?nightly|this version of Cargo.*nightly",
        weight=85,
    ),
    pattern(
        "warnings_as_errors",
        r"note: `-D (?:warnings|unused|\S+)` implied by|`#\[deny\(\S+\)\]` (?:on by default|implied by)"
        r"|note: the lint level is defined here",
        "rust",
        weight=68,
    ),
    pattern("warnings_as_errors", r"requested on the command line with `-D warnings`|implied by `-D warnings`", "rust", weight=92),
    pattern("lock_mismatch", r"the lock file \S+ needs to be updated but --(?:locked|frozen) was passed", "cargo", weight=95),
    pattern("lock_mismatch", r"cannot update the lock file .* because --locked was passed", "cargo", weight=95),
    pattern(
        "missing_pkgconfig", r"Could not find directory of OpenSSL installation|Could not find openssl via pkg-config", "openssl", weight=93
    ),
    pattern(
        "missing_pkgconfig",
        r"pkg-config (?:command )?(?:exited|has not been configured)|The pkg-config command could not be (?:found|run)",
        "pkg-config",
        weight=80,
    ),
    pattern(
        "missing_program", r"error: failed to run custom build command for `(?:prost|protobuf|tonic|grpc)[\w-]* v", "protoc", weight=40
    ),
    pattern("submodule_missing", r"failed to (?:read|load) .*: No such file.*(?:submodule|Cargo\.toml)", weight=45),
)
