"""Compilers, linkers, CMake, Meson, autotools and make."""

from __future__ import annotations

from typing import Final

from podgym.envs.build.repair.patterns.pattern import Pattern, pattern

__all__ = ["NATIVE"]

NATIVE: Final[tuple[Pattern, ...]] = (
    # Headers and libraries.
    pattern("missing_header", r"fatal error:? '?([\w./+-]+\.?\w*)'?:? (?:file not found|No such file or directory)", weight=90),
    pattern("missing_header", r"(?:configure: error|error): .*?(?:header|headers).*?['\"<]?\b([\w/+-]+\.h(?:pp)?)\b", weight=75),
    pattern(
        "missing_library", r"(?:/ld|ld\.lld|ld|mold|collect2)(?:: error)?: (?:cannot find|unable to find library) -l:?([\w.+-]+)", weight=90
    ),
    pattern("missing_library", r"error: could not find native static library `([\w.+-]+)`", weight=88),
    pattern(
        "missing_library", r"configure: error: .*?\b(?:lib)?([\w.+-]+) (?:library )?(?:is |was )?(?:not found|required|missing)", weight=62
    ),
    pattern("missing_library", r"ERROR: (?:C|C\+\+) (?:shared or static )?library '([\w.+-]+)' not found", weight=88),
    pattern("missing_shared_library", r"([\w.+-]+\.so[.\d]*): cannot open shared object file", weight=91),
    pattern("missing_shared_library", r"(?:Could not find lib|Library not loaded: )([\w.+-]+)", weight=70),
    pattern("missing_pkgconfig", r"No package '([^']+)' found", weight=90),
    pattern("missing_pkgconfig", r"Package ([\w.+-]+) was not found in the pkg-config search path", weight=90),
    pattern("missing_pkgconfig", r"Package dependency requirement '([\w.+-]+)[^']*' could not be satisfied", weight=90),
    pattern("missing_pkgconfig", r"Package requirements \(([\w.+-]+)[^)]*\) were not met", weight=85),
    pattern("missing_pkgconfig", r"Package '([\w.+-]+)', required by '[^']+', not found", weight=91),
    pattern("missing_pkgconfig", r"ERROR: Dependency \"([\w.+-]+)\" not found", weight=88),
    pattern("missing_pkgconfig", r"Dependency lookup for ([\w.+-]+) with method 'pkg-?config' failed", weight=80),
    pattern("missing_pkgconfig", r"[Tt]he system library `([\w.+-]+)` required by crate", weight=91),
    pattern("missing_pkgconfig", r"Required package:? ?\(?([\w.+-]+)\)? not found|None of the required '([\w.+-]+)[^']*' found", weight=80),
    # CMake's find_package.
    pattern("missing_cmake_package", r"Could NOT find ([\w.+-]+) \(missing:", weight=72),
    pattern("missing_cmake_package", r"Could not find a package configuration file provided by \"([\w.+-]+)\"", weight=89),
    pattern("missing_cmake_package", r"By not providing \"Find([\w.+-]+)\.cmake\"", weight=88),
    pattern("missing_cmake_package", r"Could NOT find ([\w.+-]+)(?:$| )", weight=60),
    # Programs.
    pattern("missing_program", r"(?:^|[\s:])(?:line )?\d+: ([\w.+-]+): (?:command )?not found$", weight=84),
    pattern("missing_program", r"(?:^|: )([\w.+-]+): (?:command not found|not found)$", weight=82),
    pattern("missing_program", r"make(?:\[\d+\])?: ([\w.+-]+): No such file or directory", weight=86),
    pattern("missing_program", r"Could not find (?:the )?(?:program|executable)[: ]+'?\"?([\w.+-]+)", weight=80),
    pattern("missing_program", r"ERROR: Program '?([\w.+-]+)'? not found|Program ([\w.+-]+) found: NO", weight=76),
    pattern("missing_program", r"CMake was unable to find a build program corresponding to \"(Ninja|Unix Makefiles)\"", weight=90),
    pattern("missing_program", r"(?:No|Could NOT find) (CMAKE_\w+_COMPILER) (?:could be found|variable)", weight=85),
    pattern("missing_program", r"configure: error: .*?(?:no acceptable (C) compiler|C\+\+ compiler cannot)", "cc", weight=85),
    pattern("missing_program", r"executable file not found in \$PATH.*|exec: \"([\w.+-]+)\": executable file not found", weight=84),
    pattern("missing_program", r"error: linker `([\w.+-]+)` not found|failed to find tool \"?`?([\w.+-]+)", weight=88),
    pattern("missing_program", r"is `?(cmake|perl|make|protoc|nasm)`? not installed\?|Could not find `(protoc)`", weight=88),
    pattern("missing_program", r"could not (?:find|execute) `?\"?(protoc|cmake|bison|flex|go|python3?)\b", weight=78),
    pattern("missing_program", r"You need (?:to have )?(\w+) (?:installed|to build)|(\w+) is required to build", weight=58),
    pattern("missing_program", r"error: command '([\w.+/-]+)' failed: No such file or directory|unable to execute '([\w.+-]+)'", weight=88),
    pattern("missing_program", r"FileNotFoundError: \[Errno 2\] No such file or directory: '([\w.+-]+)'$", weight=72),
    pattern("missing_program", r"spawn ([\w.+-]+) ENOENT|Cannot run program \"([\w.+/-]+)\"", weight=74),
    pattern("missing_program", r"possibly undefined macro: (?:AC_|AM_|LT_|PKG_)\w*(LIBTOOL|PROG_LIBTOOL|LT_INIT)", "libtool", weight=88),
    pattern(
        "missing_program",
        r"possibly undefined macro: (?:PKG_\w+)|PKG_CHECK_MODULES|PKG_PROG_PKG_CONFIG: command not found",
        "pkg-config",
        weight=86,
    ),
    pattern(
        "missing_program",
        r"possibly undefined macro: AX_\w+|AX_\w+: command not found|syntax error near unexpected token `AX_",
        "autoconf-archive",
        weight=84,
    ),
    pattern(
        "missing_program",
        r"possibly undefined macro: AM_GNU_GETTEXT|AM_(?:NLS|ICONV|GNU_GETTEXT): command not found",
        "autopoint",
        weight=84,
    ),
    pattern(
        "missing_program", r"possibly undefined macro: LT_\w+|error: Libtool library used but 'LIBTOOL' is undefined", "libtool", weight=86
    ),
    pattern(
        "missing_program", r"Unable to find libclang|couldn't find any valid shared libraries matching.*libclang", "libclang", weight=90
    ),
    # Versions of tools.
    pattern("old_build_tool", r"CMake (\d+\.\d+[.\d]*) or higher is required\.", "cmake >={0}", weight=92),
    pattern("old_build_tool", r"Meson version is [\d.]+,? but (?:project )?requires ?>=? ?([\d.]+)", "meson >={0}", weight=92),
    pattern(
        "old_build_tool",
        r"requires? [Aa]utoconf ([\d.]+) or (?:later|newer|higher)|Autoconf version ([\d.]+) or higher is required",
        "autoconf >={0}{1}",
        weight=80,
    ),
    pattern(
        "old_build_tool",
        r"ERROR: Could not find ninja (?:v)?([\d.]+)|Detected ninja version.*less than ([\d.]+)",
        "ninja >={0}{1}",
        weight=88,
    ),
    pattern("cmake_policy", r"Compatibility with CMake < 3\.5 has been removed|CMAKE_POLICY_VERSION_MINIMUM=3\.5", weight=95),
    pattern(
        "wrong_toolchain",
        r"unrecognized (?:command[- ]line|command line) option ['\"]?-std=(?:c|gnu)\+\+(2[3-9a-c])",
        "native >=14",
        weight=84,
    ),
    pattern(
        "wrong_toolchain",
        r"unrecognized (?:command[- ]line|command line) option ['\"]?-std=(?:c|gnu)(2[3-9])['\"]",
        "native >=14",
        weight=84,
    ),
    pattern(
        "wrong_toolchain",
        r"The compiler feature.*cxx_std_(2[36])|does not know the compile features? .*cxx_std_2[36]",
        "native >=14",
        weight=82,
    ),
    pattern(
        "wrong_toolchain",
        r"fatal error: (?:print|expected|generator|mdspan|flat_map|stacktrace|spanstream)(?:: No such file| file not found)",
        "native >=14",
        weight=93,
    ),
    pattern("wrong_toolchain", r"error: 'format' is not a member of 'std'|fatal error: format: No such file", "native >=13", weight=92),
    # Strictness of newer compilers.
    pattern("warnings_as_errors", r"\[-Werror[=\w+-]*\]|cc1(?:plus)?: (?:all|some) warnings being treated as errors", weight=91),
    pattern("warnings_as_errors", r"error: .*\[-Werror,-W[\w+-]+\]|error: treating? warnings? as errors?", weight=90),
    pattern("compiler_strictness", r"multiple definition of `([\w:~]+)'.*first defined here|multiple definition of", "common", weight=80),
    pattern(
        "compiler_strictness",
        r"error: implicit declaration of function|error: type defaults to 'int'|\[-Wimplicit-(?:function-declaration|int)\]$",
        "implicit",
        weight=78,
    ),
    pattern(
        "compiler_strictness",
        r"error: (?:passing argument|initialization of|assignment to|returning).*\[-W(?:incompatible-pointer-types|int-conversion)\]",
        "implicit",
        weight=78,
    ),
    pattern(
        "compiler_strictness",
        r"error: 'u?int\d+_t' (?:does not name a type|was not declared|in namespace 'std' does not name)",
        "cstdint",
        weight=85,
    ),
    pattern(
        "compiler_strictness",
        r"note: '.*' is defined in header '<(cstdint|cstring|limits|memory|algorithm|string|array|utility)>'",
        weight=84,
    ),
    pattern("compiler_strictness", r"error: 'numeric_limits' is not a member of 'std'", "limits", weight=85),
    pattern(
        "compiler_strictness", r"altStackMem.*(?:not an integral constant|not constant)|size of array 'altStackMem'", "sigstack", weight=88
    ),
    pattern("compiler_strictness", r"ISO C\+\+17 does not allow (?:dynamic exception specifications|'register')", "c++14", weight=86),
    pattern(
        "compiler_strictness",
        r"error: (?:cannot use keyword 'false' as enumeration|two or more data types in declaration|expected identifier.*before 'bool')",
        "gnu17",
        weight=75,
    ),
    pattern(
        "autotools_timestamps", r"WARNING: '(?:aclocal|automake|autoconf|autoheader|makeinfo)[-\d.]*' is missing on your system", weight=88
    ),
    pattern("autotools_timestamps", r"version mismatch\.  This is (?:Automake|libtool|Autoconf)|is newer than.*configure", weight=70),
    pattern(
        "autotools_timestamps",
        r"cannot guess build type; you must specify one|config\.(?:sub|guess).*too old|machine .* not recognized",
        weight=75,
    ),
    # Missing sources.
    pattern("submodule_missing", r"[Tt]he source directory (\S+) does not contain a CMakeLists\.txt file", weight=89),
    pattern(
        "submodule_missing", r"(?i)(?:git )?submodules? .*(?:not (?:found|initiali[sz]ed|checked out)|missing|update --init)", weight=88
    ),
    pattern("submodule_missing", r"add_subdirectory given source \"([^\"]+)\" which is not an existing", weight=82),
    pattern(
        "version_from_git",
        r"fatal: No names found, cannot describe anything|fatal: No tags can describe|No annotated tags can describe",
        weight=74,
    ),
    pattern("version_from_git", r"fatal: not a git repository", weight=55),
    pattern("refuses_root", r"you should not run configure as root", "configure", weight=96),
)
