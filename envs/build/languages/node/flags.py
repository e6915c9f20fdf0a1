"""The options of test runners: which take a value, and which a plan leaves out.

Left out are options that watch, measure coverage, choose a reporter, stop at the first failure or pick tests by what git says
changed, because each would change which tests a report holds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.languages.node.shell import Word

__all__ = ["NODE", "OPTIONS", "Options", "Split", "split_words"]


@dataclass(frozen=True, slots=True)
class Options:
    """Of one runner."""

    valued: frozenset[str] = frozenset()
    """Take the word after them, unless `=` gives the value."""
    listed: frozenset[str] = frozenset()
    """Take all words after them up to the next option."""
    dropped: frozenset[str] = frozenset()
    """With what they take."""
    targets: frozenset[str] = frozenset()
    """Choose files; left out where the files are given."""


@dataclass(frozen=True, slots=True)
class Split:
    """A command's words, sorted."""

    flags: tuple[Word, ...]
    """Kept options with their values."""
    files: tuple[Word, ...]
    choosing: tuple[Word, ...] = ()
    """Kept options that choose files, with their values."""


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NODE_VALUED: Final = _set(
    "-r --require --import --loader --experimental-loader -C --conditions --test-concurrency --test-name-pattern "
    "--test-reporter --test-reporter-destination --test-timeout --test-shard --test-skip-pattern --input-type --title "
    "--env-file --tsconfig --test-coverage-include --test-coverage-exclude --test-coverage-lines --test-coverage-branches "
    "--test-coverage-functions --test-isolation --experimental-test-isolation -P --project --compiler -O --compiler-options "
    "-x --extensions --presets --plugins"
)
NODE: Final = Options(valued=_NODE_VALUED)
"""Of `node` and of what stands in its place (`tsx`, `ts-node`, `babel-node`)."""

OPTIONS: Final[dict[str, Options]] = {
    "jest": Options(
        valued=_set(
            "-c --config --testPathPattern -t --testNamePattern --rootDir --maxWorkers -w --env --testEnvironment --testTimeout "
            "--setupTestFrameworkScriptFile --testRegex --preset --cacheDirectory --runner --testRunner --maxConcurrency --seed "
            "--shard --filter --globals --moduleNameMapper --transform --globalSetup --globalTeardown --outputFile --reporters "
            "--coverageReporters --coverageDirectory --collectCoverageFrom --coverageThreshold --coverageProvider "
            "--workerIdleMemoryLimit --changedSince --testResultsProcessor --notifyMode --resolver --modulePathIgnorePatterns "
            "--watchPathIgnorePatterns"
        ),
        listed=_set(
            "--projects --selectProjects --ignoreProjects --testMatch --testPathIgnorePatterns --testPathPatterns --roots "
            "--setupFiles --setupFilesAfterEnv --transformIgnorePatterns --coveragePathIgnorePatterns --moduleDirectories "
            "--findRelatedTests"
        ),
        dropped=_set(
            "--watch --watchAll --watchman --no-watchman --coverage --no-coverage --collectCoverage --collectCoverageFrom "
            "--outputFile --coverageReporters --coverageDirectory --coverageThreshold --coverageProvider "
            "--coveragePathIgnorePatterns --json --reporters --bail -b --onlyChanged -o --changedSince --lastCommit --onlyFailures "
            "-f --notify --notifyMode --shard --updateSnapshot -u --ci --detectOpenHandles --forceExit --testLocationInResults "
            "--testResultsProcessor --maxWorkers -w --silent --listTests --logHeapUsage --debug --expand --color --colors "
            "--randomize --changedFilesWithAncestor --findRelatedTests"
        ),
        targets=_set("--testPathPattern --testPathPatterns --testMatch --testRegex --runTestsByPath"),
    ),
    "vitest": Options(
        valued=_set(
            "-c --config -r --root --dir --project --environment --pool --testTimeout --hookTimeout --mode -t --testNamePattern "
            "--exclude --maxWorkers --minWorkers --workspace --retry --shard --outputFile --reporter --configLoader "
            "--typecheck.tsconfig --changed --browser.name --browser.provider --coverage.provider --coverage.reporter --bail "
            "--maxConcurrency --teardownTimeout --coverage.include --coverage.exclude --coverage.reportsDirectory --sequence.seed "
            "--poolOptions --silent --tags-filter"
        ),
        dropped=_set(
            "--watch -w --ui --open --reporter --outputFile --coverage --bail --changed --shard --run --standalone --update -u "
            "--dangerouslyIgnoreUnhandledErrors --silent --color --no-color --api --hideSkippedTests --inspect --inspect-brk "
            "--no-coverage"
        ),
    ),
    "mocha": Options(
        valued=_set(
            "-r --require -t --timeout --timeouts -u --ui --file --config --opts --package -g --grep -f --fgrep --extension "
            "--extensions --watch-extensions --ignore --exclude --spec --compilers -s --slow --retries --jobs -j --loader --import "
            "--node-option -n --globals --reporter -R --reporter-option --reporter-options -O --watch-files --watch-ignore "
            "--tsconfig -p --project --paths --type-check --experimental-loader -C --webpack-config --mode --interactive --include"
        ),
        dropped=_set(
            "--reporter -R --reporter-option --reporter-options -O --watch -w --bail -b --no-bail --exit --no-exit -G --growl "
            "--watch-files --watch-ignore --watch-extensions --inspect --inspect-brk --debug --debug-brk --colors --color -c "
            "--no-colors --no-color --dry-run --fail-zero --sort --diff --no-diff --full-trace --recursive=false --quiet "
            "--fullTrace"
        ),
        targets=_set("--spec --recursive"),
    ),
    "node:test": Options(
        valued=_NODE_VALUED,
        dropped=_set(
            "--test --test-reporter --test-reporter-destination --experimental-test-coverage --test-coverage-include "
            "--test-coverage-exclude --test-coverage-lines --test-coverage-branches --test-coverage-functions --watch --test-shard "
            "--test-force-exit --inspect --test-randomize --test-rerun-failures"
        ),
    ),
    "borp": Options(
        valued=_set(
            "-i --ignore -p --pattern -X --coverage-exclude -c --concurrency -t --timeout -r --reporter --lines --branches "
            "--functions --statements -C --coverage -P --post-compile --check-coverage"
        ),
        dropped=_set(
            "-C --coverage -X --coverage-exclude -r --reporter --check-coverage --lines --branches --functions --statements -w "
            "--watch -t --timeout"
        ),
        targets=_set("-p --pattern"),
    ),
    "ava": Options(
        valued=_set("-m --match --node-arguments -T --timeout -c --concurrency --config"),
        dropped=_set(
            "--tap -t --verbose -v --watch -w --fail-fast --update-snapshots -u --color --no-color --no-cache --reset-cache"
        ),
    ),
    "tap": Options(
        valued=_set(
            "-R --reporter -j --jobs -t --timeout -g --grep --node-arg --test-arg --files -c --coverage-report --plugin --before "
            "--after --include --exclude --lines --branches --functions --statements --test-regex --test-ignore -o --output-file "
            "--test-env --coverage-map --tsconfig"
        ),
        dropped=_set(
            "-R --reporter --coverage --no-coverage --cov --no-cov --100 --check-coverage --no-check-coverage --coverage-report "
            "--no-coverage-report --lines --branches --functions --statements -b --bail -B --watch -w -o --output-file -C -c "
            "--color --disable-coverage --allow-empty-coverage --allow-incomplete-coverage --coverage-map -Rterse -Rspec -Rclassic "
            "-Rdot --show-full-coverage --browser --no-browser --changed -n -O --only-changed --snapshot"
        ),
        targets=_set("--files"),
    ),
    "tape": Options(valued=_set("-r --require -i --ignore --ignore-pattern --import --loader -x"), dropped=_set("--only --no-only")),
    "jasmine": Options(
        valued=_set("--config --filter --helper --require --seed --reporter --parallel --env"),
        dropped=_set("--reporter --fail-fast --stop-on-failure --random=true --color --no-color --verbose"),
    ),
    "lab": Options(
        valued=_set(
            "-a --assert -r --reporter -o --output -t --threshold -P --pattern -m --timeout -M --context-timeout -e --environment "
            "-I --globals --coverage-path --coverage-exclude --coverage-module -g --grep -i --id -T --transform -n --linter-options "
            "-S --shuffle-seed --lint-errors-threshold --lint-warnings-threshold --seed -p"
        ),
        dropped=_set(
            "-r --reporter -o --output -t --threshold -c --coverage -L --lint -v --verbose -C --colors --coverage-path "
            "--coverage-exclude --coverage-module -n --linter-options --lint-errors-threshold --lint-warnings-threshold --bail -w "
            "--watch --shuffle -l --leaks -Y --types --types-test --coverage-all --coverage-predicates -d --dry"
        ),
    ),
    "qunit": Options(
        valued=_set("--filter -f --module -m --reporter -r --require --seed"),
        dropped=_set("--reporter -r --watch -w --seed"),
    ),
    "uvu": Options(valued=_set("-r --require -i --ignore -C --cwd"), dropped=_set("-b --bail -c --color")),
    "karma": Options(
        valued=_set("--browsers --reporters --log-level --port"),
        dropped=_set(
            "--browsers --reporters --single-run --auto-watch --no-auto-watch --no-single-run --log-level --watch --coverage"
        ),
    ),
    "bun": Options(
        valued=_set(
            "--timeout -t --test-name-pattern --preload -r --rerun-each --bail --seed --coverage-reporter --coverage-dir --reporter "
            "--reporter-outfile --env-file --conditions --max-concurrency --tsconfig-override"
        ),
        dropped=_set(
            "--coverage --coverage-reporter --coverage-dir --bail --watch --reporter --reporter-outfile --update-snapshots -u "
            "--only-failures"
        ),
    ),
    "deno": Options(
        valued=_set("-c --config --import-map --location --seed --filter --ignore -L --log-level"),
        dropped=_set("--coverage --watch --junit-path --reporter --fail-fast --quiet -q"),
    ),
}  # fmt: skip


def split_words(words: Sequence[Word], options: Options, *, subcommands: Collection[str] = ()) -> Split:
    """Sort what follows a runner's name; `subcommands` are words that are neither."""
    flags: list[Word] = []
    files: list[Word] = []
    choosing: list[Word] = []
    at = 0
    while at < len(words):
        one = words[at]
        at += 1
        if one.text in subcommands and not files:
            continue
        if one.text == "--" or not one.text.startswith("-") or one.text == "-":
            files += [] if one.text == "--" else [one]
            continue
        name, sign, _ = one.text.partition("=")
        taken = [one]
        if name in options.listed and not sign:
            while at < len(words) and not words[at].text.startswith("-"):
                taken.append(words[at])
                at += 1
        elif name in options.valued and not sign and at < len(words) and not _is_flag(words[at].text):
            taken.append(words[at])
            at += 1
        if name in options.dropped or name.partition(".")[0] in options.dropped:
            continue
        (choosing if name in options.targets else flags).extend(taken)
    return Split(tuple(flags), tuple(files), tuple(choosing))


def _is_flag(text: str) -> bool:
    return len(text) > 1 and text.startswith("-") and not text[1:].isdigit()
