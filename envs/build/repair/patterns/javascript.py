"""Node, its package managers and what their packages download."""

from __future__ import annotations

from typing import Final

from podgym.envs.build.repair.patterns.pattern import Pattern, pattern

__all__ = ["JAVASCRIPT"]

JAVASCRIPT: Final[tuple[Pattern, ...]] = (
    # Node's version.
    pattern(
        "wrong_toolchain", r"The engine \"node\" is incompatible with this module\. Expected version \"([^\"]+)\"", "node {0}", weight=95
    ),
    pattern(
        "wrong_toolchain",
        r"(?:npm (?:ERR!|error|warn|WARN)).*(?:notsup )?Required:\s+\{.*?\"?node\"?:\s*[\"']([^\"']+)",
        "node {0}",
        weight=66,
    ),
    pattern("wrong_toolchain", r"EBADENGINE\s+required: \{.*?node: '([^']+)'", "node {0}", weight=45),
    pattern("wrong_toolchain", r"^Expected version: ([\d.<>=^~| x*-]+)$", "node {0}", weight=90),
    pattern(
        "wrong_toolchain",
        r"requires? (?:a )?Node(?:\.js)? (?:version )?[\"'`]?(?:>=|at least|version)? ?v?(\d+(?:\.\d+)*)",
        "node >={0}",
        weight=72,
    ),
    pattern(
        "wrong_toolchain",
        r"Node\.js version (?:v[\d.]+ )?(?:is not supported|must be|should be) ?(?:>=)? ?v?(\d+(?:\.\d+)*)?",
        "node >={0}",
        weight=60,
    ),
    pattern("wrong_toolchain", r"This version of pnpm requires at least Node\.js v(\d+\.\d+)", "node >={0}", weight=96),
    pattern(
        "wrong_toolchain",
        r"ERR_UNKNOWN_BUILTIN_MODULE.*node:(?:sqlite|sea)|No such built-in module: node:(?:sqlite|sea)",
        "node >=22",
        weight=88,
    ),
    pattern("wrong_toolchain", r"No such built-in module: node:|Cannot find module 'node:", "node >=18", weight=88),
    pattern(
        "wrong_toolchain",
        r"SyntaxError: Unexpected token '?(?:\?\?=|\|\|=|&&=)|SyntaxError: Unexpected token '?(?:\.|\?)'?$",
        "node >=16",
        weight=78,
    ),
    pattern(
        "wrong_toolchain",
        r"(?:structuredClone|fetch|ReadableStream|Blob|FormData) is not defined|Object\.hasOwn is not a function",
        "node >=18",
        weight=78,
    ),
    pattern("wrong_toolchain", r"\.(?:toSorted|toReversed|toSpliced|findLast|with) is not a function", "node >=20", weight=74),
    pattern(
        "wrong_toolchain",
        r"(?:Set\.prototype|\.isSubsetOf|\.symmetricDifference|Promise\.withResolvers|Array\.fromAsync|Object\.groupBy"
        r"|Iterator\.from) is not a function",
        "node >=22",
        weight=76,
    ),
    pattern("wrong_toolchain", r"ERR_REQUIRE_ESM|require\(\) of ES Module .* not supported", "node >=22.12", weight=68),
    pattern("wrong_toolchain", r"primordials is not defined", "node <12", weight=95),
    pattern("wrong_toolchain", r"node: bad option: (?:--import|--test\S*|--experimental-strip-types)", "node >=22", weight=85),
    pattern(
        "wrong_toolchain",
        r"error: #error .*(?:C\+\+17 or later required|C\+\+20)|no member named 'AccessorSignature'"
        r"|'v8::AccessorSignature'|SetAccessor.*no matching|no matching function .*v8::",
        "node <18",
        weight=80,
    ),
    pattern(
        "wrong_toolchain", r"Node Sass does not yet support your current environment|node-sass.*(?:not|un)support", "node <16", weight=86
    ),
    pattern("legacy_openssl", r"ERR_OSSL_EVP_UNSUPPORTED|error:0308010C:digital envelope routines", weight=96),
    # Package managers.
    pattern(
        "peer_dependencies",
        r"code ERESOLVE|ERESOLVE (?:unable|could not) (?:to )?resolve|ERR_PNPM_PEER_DEP_ISSUES|Conflicting peer dependency: (\S+)",
        weight=94,
    ),
    pattern("lock_mismatch", r"can only install packages when your package\.json and package-lock\.json.*in sync", "npm", weight=95),
    pattern("lock_mismatch", r"The `npm ci` command can only install with an existing package-lock", "npm", weight=95),
    pattern("lock_mismatch", r"Missing: \S+ from lock file|Invalid: lock file's", "npm", weight=85),
    pattern(
        "lock_mismatch",
        r"ERR_PNPM_(?:OUTDATED_LOCKFILE|FROZEN_LOCKFILE_WITH_OUTDATED_LOCKFILE|LOCKFILE_CONFIG_MISMATCH|NO_LOCKFILE)"
        r"|Cannot install with \"frozen-lockfile\"",
        "pnpm",
        weight=95,
    ),
    pattern(
        "lock_mismatch",
        r"ERR_PNPM_LOCKFILE_BREAKING_CHANGE|is not compatible with (?:this|the current) (?:version of )?pnpm"
        r"|Ignoring not compatible lockfile",
        "pnpm-version",
        weight=92,
    ),
    pattern("lock_mismatch", r"YN0028|The lockfile would have been (?:modified|created) by this install", "yarn", weight=95),
    pattern("lock_mismatch", r"Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`", "yarn1", weight=95),
    pattern("lock_mismatch", r"error: lockfile had changes, but lockfile is frozen", "bun", weight=95),
    pattern("package_manager", r"Unsupported URL Type \"?(workspace|catalog|patch|portal|link):", "{0}", weight=94),
    pattern(
        "package_manager",
        r"(?:EUNSUPPORTEDPROTOCOL)|Couldn't find package .* required by .* on the \"npm\" registry.*workspace",
        "workspace",
        weight=70,
    ),
    pattern(
        "package_manager",
        r"Usage Error: This project is configured to use (\w+)|This project's package\.json defines \"packageManager\": \"(\w+)@",
        weight=94,
    ),
    pattern(
        "package_manager",
        r"(?:Please )?[Uu]se \"?(pnpm|yarn|npm)(?: install)?\"? (?:for installation|to install|instead)|only-allow (pnpm|yarn|npm)",
        weight=86,
    ),
    pattern(
        "package_manager",
        r"Error: Cannot find matching keyid|Internal Error: .*corepack|Error when performing the request to .*(?:yarn|pnpm)",
        "corepack",
        weight=92,
    ),
    pattern(
        "install_script",
        r"(?:npm (?:ERR!|error)) (?:Failed at the|command failed).*|ELIFECYCLE|(?:npm (?:ERR!|error)) command sh -c (.*)",
        weight=46,
    ),
    pattern(
        "install_script",
        r"(?:husky|simple-git-hooks|lefthook|patch-package|ngcc|is-ci|preinstall|postinstall|prepare)[: ].*(?:not found"
        r"|[Ff]ailed|can't be found)",
        weight=76,
    ),
    pattern("install_script", r"ERR_PNPM_IGNORED_BUILDS|Command failed with exit code \d+: .*node-gyp", weight=60),
    pattern(
        "browser_download",
        r"(?:Failed to (?:download|set up|install)|ERROR: Failed to).*(?:Chrom(?:e|ium)|[Ff]irefox|chromedriver|geckodriver|browser)",
        weight=90,
    ),
    pattern(
        "browser_download",
        r"(?:puppeteer|playwright|cypress|electron|chromedriver|geckodriver|phantomjs|edgedriver)[^ ]*[ :].*(?:download"
        r"|install).*(?:[Ff]ailed|[Ee]rror|timed out)",
        weight=84,
    ),
    pattern(
        "browser_download", r"(?:storage\.googleapis\.com/chrom|cdn\.playwright|download\.cypress\.io|playwright\.azureedge).*", weight=62
    ),
    pattern(
        "browser_download",
        r"The Cypress (?:App|binary).*(?:could not be downloaded|is missing)|Error: Download failed: .*(?:electron|chrome)",
        weight=88,
    ),
    pattern(
        "missing_program",
        r"gyp ERR! find Python|Could not find any Python installation to use|Can't find Python executable",
        "python3",
        weight=92,
    ),
    pattern("missing_program", r"gyp ERR! stack Error: not found: (make|g\+\+|gcc|cc)", weight=93),
    pattern("missing_module", r"ModuleNotFoundError: No module named '(distutils)'", "gyp {0}", weight=55),
    pattern("old_build_tool", r"ValueError: invalid mode: 'rU'", "node-gyp", weight=88),
    pattern(
        "missing_module",
        r"Error: Cannot find module '([@\w][^'./][^']*)'|Cannot find module '([@\w][\w@/.-]*)' from",
        "node {0}{1}",
        weight=74,
    ),
    pattern(
        "missing_module",
        r"Cannot find package '([^']+)' imported from|error TS2307: Cannot find module '([@\w][^']*)'",
        "node {0}{1}",
        weight=72,
    ),
    pattern("missing_module", r"error TS2688: Cannot find type definition file for '([^']+)'", "node @types/{0}", weight=76),
    pattern(
        "missing_module",
        r"Preset (\S+) not found|ts-jest.*not found|Module (jest-environment-\w+) in the testEnvironment option was not found",
        "node {0}{1}",
        weight=70,
    ),
    # Browsers in tests.
    pattern(
        "missing_program",
        r"Could not find (Chrome|Chromium|Firefox)|No binary for (Chrome|Chromium|Firefox)\w* browser|(CHROME)_BIN",
        "chromium",
        weight=86,
    ),
    pattern("refuses_root", r"Running as root without --no-sandbox is not supported|No usable sandbox!", "chromium", weight=94),
    pattern("permission", r"cannot run in wd|EACCES.*npm.*root|uid: (?:0|undefined).*EACCES", "npm", weight=80),
)
