"""Python: modules, versions of the interpreter and of build tools."""

from __future__ import annotations

from typing import Final

from podgym.envs.build.languages.python.plugins import FIXTURES, MARKS, OPTIONS
from podgym.envs.build.repair.patterns.pattern import Pattern, each, pattern

__all__ = ["PYTHON"]

_GONE: Final = {
    "3.12": r"asyncore|asynchat|imp|smtpd|distutils(?:\.\w+)*",
    "3.13": "cgi|cgitb|telnetlib|pipes|crypt|imghdr|sndhdr|nntplib|audioop|lib2to3|msilib|uu|xdrlib",
}
"""Modules of the standard library, by the version that is without them."""
_COME: Final = {"3.9": "graphlib|zoneinfo", "3.11": "tomllib", "3.14": "annotationlib"}
"""Modules by the version that brought them."""
_NAMES: Final = {
    "3.9": "Annotated",
    "3.10": "ParamSpec|TypeAlias|TypeGuard|Concatenate|pairwise",
    "3.11": "StrEnum|Self|assert_never|LiteralString|TaskGroup|Never|Required|NotRequired|Unpack",
    "3.12": "override|batched|TypeAliasType",
}
"""Names of its modules, by the version that brought them."""

_OPTIONS: Final = {**OPTIONS, "pytest-xdist": f"{OPTIONS['pytest-xdist']}|-n ?(?:auto|logical|\\d+)(?!\\S)"}
_SETTINGS: Final = {
    "pytest-asyncio": r"asyncio_\w+", "pytest-timeout": r"timeout\w*", "pytest-env": "env", "pytest-django": "DJANGO_\\w+",
    "pytest-mock": r"mock_\w+", "pytest-xdist": r"looponfailroots|xdist_\w+", "pytest-benchmark": r"benchmark\w+", "anyio": r"anyio_\w+",
}  # fmt: skip
"""Of plug-ins, by which pytest stops where it is told to be strict."""

PYTHON: Final[tuple[Pattern, ...]] = (
    # Plug-ins of pytest, by what is not known without them.
    *each("missing_module", r"unrecognized arguments:(?:.*\s)?<>", "python <>", _OPTIONS, weight=92),
    *each("missing_module", r"Unknown config option: <>$", "python <>", _SETTINGS, weight=92),
    *each("missing_module", r"fixture '<>' not found", "python <>", FIXTURES, weight=86),
    *(pattern("missing_module", f"'{mark}' not found in `markers` configuration option", f"python {name}") for mark, name in MARKS.items()),
    pattern("missing_module", r"Missing required plugins: ([\w.<>=!~, -]+)", "python {0}", weight=93),
    pattern("missing_module", r"async def functions are not natively supported", "python pytest-asyncio", weight=84),
    # A pytest that is too old for the interpreter.
    pattern("missing_module", r'required field "type_ignores" missing from Module', "python pytest>=5.4", weight=91),
    pattern("missing_module", r'required field "lineno" missing from alias', "python pytest>=6.2.5", weight=91),
    pattern("missing_module", r"'AssertionRewritingHook' object has no attribute 'find_spec'", "python pytest>=7.4", weight=91),
    # The interpreter's version.
    pattern("wrong_toolchain", r"requires a different Python: [\d.]+\S* not in '([^']+)'", "python {0}", weight=95),
    pattern("wrong_toolchain", r"(?:depends on|requires) Python ?([<>=!~][^\s;,]*(?:, ?[<>=!~][^\s;]*)*)", "python {0}", weight=78),
    pattern("wrong_toolchain", r"Requires-Python ([<>=!~][\d.*,<>=!~ ]+)", "python {0}", weight=60),
    pattern(
        "wrong_toolchain",
        r"current Python version \([\d.]+\) is not (?:allowed|supported) by the project \(([^)]+)\)",
        "python {0}",
        weight=95,
    ),
    pattern("wrong_toolchain", r"Python (\d\.\d+)(?:\.\d+)? or (?:later|newer|higher|above) is required", "python >={0}", weight=90),
    pattern(
        "wrong_toolchain",
        r"(?:only versions|supports Python versions?) >=? ?(\d\.\d+)[^<]*<=? ?(\d\.\d+) (?:are|is) supported",
        "python >={0},<{1}",
        weight=80,
    ),
    *each("wrong_toolchain", r"(?:No module named|import of) '?<>(?![\w.])", "python <<>", _GONE, weight=86),
    *each("wrong_toolchain", r"No module named '?<>\b", "python >=<>", _COME, weight=80),
    pattern(
        "wrong_toolchain",
        r"module 'collections' has no attribute '\w+'|cannot import name '(?:Mapping|MutableMapping|Callable|Iterable"
        r"|Sequence|Hashable)' from 'collections'",
        "python <3.10",
        weight=88,
    ),
    pattern(
        "wrong_toolchain",
        r"module 'inspect' has no attribute '(?:getargspec|formatargspec)'|cannot import name '(?:getargspec"
        r"|formatargspec)' from 'inspect'",
        "python <3.11",
        weight=88,
    ),
    pattern("wrong_toolchain", r"module 'asyncio' has no attribute 'coroutine'", "python <3.11", weight=88),
    pattern(
        "wrong_toolchain",
        r"module 'configparser' has no attribute '(?:SafeConfigParser|readfp)'|has no attribute 'readfp'",
        "python <3.12",
        weight=88,
    ),
    pattern("wrong_toolchain", r"module 'pkgutil' has no attribute 'ImpImporter'", "python <3.12", weight=88),
    pattern(
        "wrong_toolchain",
        r"module 'unittest' has no attribute 'makeSuite'|has no attribute '(?:assertEquals|assertItemsEqual"
        r"|assertRegexpMatches|assertRaisesRegexp|failUnless)'",
        "python <3.12",
        weight=70,
    ),
    pattern(
        "wrong_toolchain",
        r"module 'ast' has no attribute '(?:Str|Num|NameConstant|Bytes)'|cannot import name '(?:Str|Num)' from 'ast'",
        "python <3.12",
        weight=70,
    ),
    pattern("wrong_toolchain", r"fatal error: longintrepr\.h: No such file", "python <3.11", weight=93),
    pattern(
        "wrong_toolchain",
        r"error: .*(?:'PyThreadState'.*'?(?:exc_type|use_tracing|frame)|_PyGen_Send|'PyTypeObject'.*'tp_print')",
        "python <3.11",
        weight=87,
    ),
    pattern(
        "wrong_toolchain",
        r"error: 'PyLongObject'.*has no member named 'ob_digit'|too few arguments to function '_PyLong_AsByteArray'",
        "python <3.12",
        weight=87,
    ),
    pattern(
        "wrong_toolchain",
        r"SyntaxError: Missing parentheses in call to 'print'|SyntaxError: Missing parentheses in call to 'exec'",
        "python <3",
        weight=72,
    ),
    pattern(
        "wrong_toolchain",
        r"SyntaxError: (?:multiple exception types must be parenthesized|leading zeros in decimal)",
        "python <3",
        weight=60,
    ),
    pattern(
        "wrong_toolchain",
        r"TypeError: unsupported operand type\(s\) for \|: '(?:type|NoneType|_GenericAlias|_UnionGenericAlias)'",
        "python >=3.10",
        weight=82,
    ),
    pattern("wrong_toolchain", r"TypeError: '(?:type|ABCMeta)' object is not subscriptable", "python >=3.9", weight=80),
    *each(
        "wrong_toolchain",
        r"cannot import name '<>' from '(?:typing|enum|asyncio|itertools|collections\.abc)'",
        "python >=<>",
        _NAMES,
        weight=78,
    ),
    pattern("wrong_toolchain", r"'str' object has no attribute 'remove(?:prefix|suffix)'", "python >=3.9", weight=78),
    # Build tools' versions.
    pattern("build_isolation", r"use_2to3 is invalid", "setuptools<58", weight=95),
    pattern(
        "build_isolation",
        r"No module named '?setuptools\.command\.test'?|cannot import name 'test' from 'setuptools\.command'",
        "setuptools<72",
        weight=92,
    ),
    pattern("build_isolation", r"No module named '?pkg_resources'?|No module named '?setuptools'?$", "setuptools<80", weight=87),
    pattern(
        "build_isolation",
        r"(?:error in .* setup command|Parse error).*(?:install_requires|extras_require).*must be|Expected (?:end or semicolon|matching)",
        "setuptools<66",
        weight=72,
    ),
    pattern(
        "build_isolation",
        r"setuptools\.errors\.InvalidConfigError|Invalid dash-separated (?:key|options)|dash-separated.*will not be supported",
        "setuptools<78",
        weight=74,
    ),
    pattern("build_isolation", r"packaging\.version\.InvalidVersion|Invalid version: '", "setuptools<66", weight=70),
    pattern(
        "build_isolation",
        r"AttributeError: cython_sources|Cython\.Compiler\.Errors\.CompileError|Cannot assign type .* noexcept",
        "cython<3",
        weight=90,
    ),
    pattern(
        "build_isolation",
        r"A module that was compiled using NumPy 1\.x cannot be run in|numpy\.dtype size changed|was removed in the NumPy 2\.0 release",
        "numpy<2",
        weight=90,
    ),
    pattern("build_isolation", r"module 'numpy' has no attribute '(?:float|int|bool|object|str|complex|long)'", "numpy<1.24", weight=88),
    pattern(
        "build_isolation",
        r"module 'numpy' has no attribute '(?:trapz|in1d|row_stack|product|cumproduct|sometrue|NaN|Inf|float_|unicode_)'",
        "numpy<2",
        weight=86,
    ),
    pattern(
        "build_isolation",
        r"(?:cannot import name|No module named) '?(?:soft_unicode|escape|Markup|contextfilter|environmentfilter"
        r"|evalcontextfilter)'? from '(?:markupsafe|jinja2)'",
        "markupsafe<2.1 jinja2<3.1",
        weight=88,
    ),
    pattern(
        "build_isolation",
        r"cannot import name '(?:url_quote|url_decode|url_encode|safe_str_cmp|parse_rule|BaseResponse)' from 'werkzeug",
        "werkzeug<2.1 flask<2.2",
        weight=88,
    ),
    pattern(
        "build_isolation",
        r"module '?(?:pytest|_pytest\.\w+)'? has no attribute|PytestRemovedIn\d+Warning"
        r"|'Package' object has no attribute|'FixtureDef' object has no attribute",
        "pytest<8",
        weight=76,
    ),
    pattern(
        "build_isolation",
        r"(?:PytestRemovedIn9Warning|Plugin validation failed.*unknown hook|unexpected keyword argument 'path'.*pytest)",
        "pytest<8",
        weight=70,
    ),
    pattern(
        "build_isolation",
        r"cannot import name 'MovedIn20Warning'|sqlalchemy\.exc\.(?:ObjectNotExecutableError|RemovedIn20Warning)"
        r"|has no attribute 'execute'.*Engine",
        "sqlalchemy<2",
        weight=82,
    ),
    pattern(
        "build_isolation", r"`?pydantic:ERR|PydanticUserError|PydanticImportError|`BaseSettings` has been moved", "pydantic<2", weight=84
    ),
    pattern("build_isolation", r"Descriptors cannot (?:not )?be created directly", "protobuf<3.21", weight=90),
    pattern(
        "build_isolation",
        r"cannot import name '(?:appengine|DEFAULT_CIPHERS|ssl_match_hostname"
        r"|is_appengine_sandbox)' from '(?:requests\.packages\.)?urllib3",
        "urllib3<2",
        weight=88,
    ),
    pattern(
        "build_isolation",
        r"BackendUnavailable: Cannot import '?([\w.]+)|Cannot import '?(?:poetry\.core|hatchling|flit_core|setuptools)[\w.]*'",
        "setuptools<80",
        weight=50,
    ),
    # Modules and what native ones are built from.
    pattern("missing_module", r"(?:ModuleNotFoundError|ImportError): No module named '?\"?([\w.]+)", "python {0}", weight=80),
    pattern(
        "missing_program",
        r"(?:Error: )?(pg_config|mysql_config|gdal-config|xml2-config|xslt-config|curl-config|krb5-config|nc-config"
        r"|llvm-config|freetype-config)(?: executable)? (?:not found|is required|failed)",
        weight=90,
    ),
    pattern(
        "missing_program", r"Please make sure the (?:libxml2 and libxslt) development packages are installed", "xslt-config", weight=92
    ),
    pattern("missing_program", r"Can not find valid pkg-config name|Specify MYSQLCLIENT_CFLAGS", "mysql_config", weight=88),
    pattern(
        "missing_program",
        r"can't find Rust compiler|error: can't find rustc|cargo, the Rust package manager, is not installed|rustc is not installed",
        "cargo",
        weight=92,
    ),
    pattern("missing_library", r"The headers or library files could not be found for (\w+)", weight=91),
    pattern("missing_library", r"Could not find (?:TA-Lib|the) (\w+) (?:library|headers)", weight=70),
    pattern("missing_header", r"(?:error|Error): .*'?(Python\.h)'?.*(?:not found|No such)", weight=88),
    pattern("version_from_git", r"setuptools[-_]scm was unable to detect version|LookupError: .*setuptools[-_]scm", weight=94),
    pattern(
        "version_from_git",
        r"Versioning for this project requires either an sdist tarball|pbr\.version|Unable to find version from git",
        weight=90,
    ),
    pattern(
        "version_from_git",
        r"(?:hatch-vcs|vcs_versioning|versioningit|dunamai|poetry-dynamic-versioning|versioneer).*(?:unable|[Ee]rror|not find|NotAVcs)",
        weight=84,
    ),
    pattern("permission", r"error: externally-managed-environment", "externally-managed", weight=95),
)
