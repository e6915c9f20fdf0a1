"""What a package script comes to: the simple commands that it ends in, with what calls, wraps and measures them taken off.

`npm run`, `run-s`, `concurrently` and their like lead to other scripts; `cross-env` sets variables; `nyc` and `c8` measure
coverage, which tests do without; a call of every package's script (`turbo`, `lerna`, `nx`, `pnpm -r`) is left as such.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from podgym.envs.build.languages.node.command import MANAGERS, Command, delegated
from podgym.envs.build.languages.node.layout import read_yaml
from podgym.envs.build.languages.node.makefile import recipe
from podgym.envs.build.languages.node.manifest import Manifest, join, normal, table
from podgym.envs.build.languages.node.runners import recognise
from podgym.envs.build.languages.node.shell import Word, read_line, word
from podgym.envs.build.tree import Tree

__all__ = ["Scripts"]

_MAX_DEPTH: Final = 12
_MAX_COMMANDS: Final = 300
_MAX_FILES: Final = 300
"""Shell files that are read, each as often as it is called."""
_COVERAGE: Final = frozenset({
    "nyc", "c8", "istanbul", "isparta", "babel-istanbul", "monocart",
})  # fmt: skip
_VALUE_FLAGS: Final = frozenset({
    "-r", "--reporter", "-i", "--require", "-n", "--include", "-x", "--exclude", "-e", "--extension", "--report-dir", "--reports-dir",
    "--temp-dir", "--temp-directory", "--nycrc-path", "--config", "-c", "--lines", "--branches", "--functions", "--statements",
    "--cwd", "-o", "--src", "--merge-async", "--print", "--dir", "--report", "-p", "--root", "--default-excludes",
    "--reporter-options",
})  # fmt: skip
_PREFIXES: Final[dict[str, str]] = {
    **dict.fromkeys(("time", "sudo", "exec", "command", "nice", "stdbuf", "npm-safe", "chronic"), ""),
    **dict.fromkeys(("npx", "bunx", "pnpx"), "-p --package -c"),
    **dict.fromkeys(("xvfb-run", "xvfb-maybe"), "-s -n --server-args -e"),
}
"""Programs that run what follows them, with those of their options that take a value."""
_SETTERS: Final = frozenset({"cross-env", "cross-env-shell", "env", "env-cmd", "dotenv", "dotenv-cli", "dotenvx"})
_SERIES: Final = frozenset({"run-s", "run-p", "npm-run-all", "npm-run-all2", "npm-run-parallel", "run-z"})
_PATTERN: Final = re.compile(r"/\^?[\w:-]*(?:\.[*+])?[\w:-]*\$?/")
"""Scripts that pnpm is asked for by a plain enough regular expression."""
_FLAG: Final = re.compile(r"--?[A-Za-z]")


@dataclass(slots=True)
class Scripts:
    """The scripts of one package, and of those that they call by directory."""

    tree: Tree
    manifests: Mapping[str, Manifest]
    notes: list[str] = field(default_factory=list)
    _files: int = 0

    def expand(self, package: Manifest, name: str) -> list[Command]:
        """The commands of a script with those that run before and after it, in order."""
        found: list[Command] = []
        self._script(package, name, Command(package.directory, ()), (), found)
        return found

    def line(self, package: Manifest, text: str) -> list[Command]:
        """The commands of a shell line in a package."""
        found: list[Command] = []
        self._line(package, text, Command(package.directory, ()), (), found)
        return found

    def _script(self, package: Manifest, name: str, caller: Command, extra: Sequence[Word], found: list[Command]) -> None:
        """Of `caller`, the variables, and the scripts that lead to it, hold for the script too."""
        key = f"{package.directory}:{name}"
        if len(caller.via) >= _MAX_DEPTH or key in caller.via or len(found) >= _MAX_COMMANDS:
            return
        caller = replace(caller, via=(*caller.via, key))
        for part in (f"pre{name}", name, f"post{name}"):
            text = package.scripts.get(part)
            if text is None:
                continue
            if text.strip() == "wireit":
                self._wireit(package, part, caller, extra, found)
            else:
                self._line(package, text, caller, extra if part == name else (), found)

    def _wireit(self, package: Manifest, name: str, caller: Command, extra: Sequence[Word], found: list[Command]) -> None:
        wired = table(table(package.raw.get("wireit")).get(name))
        needed = wired.get("dependencies")
        for one in needed if isinstance(needed, list) else ():
            script = one if isinstance(one, str) else table(one).get("script")
            if isinstance(script, str) and re.fullmatch(r"[\w:.-]+", script):
                self._script(package, script, caller, (), found)
        if isinstance(text := wired.get("command"), str):
            self._line(package, text, caller, extra, found)

    def _line(self, package: Manifest, text: str, caller: Command, extra: Sequence[Word], found: list[Command]) -> None:
        commands = read_line(text)
        if commands is None:
            self.notes.append(f"not read: {text[:120]!r}")
            return
        last = max((index for index, one in enumerate(commands) if one.before not in ("|", "||")), default=-1)
        directory = package.directory
        for index, one in enumerate(commands):
            if one.before in ("|", "||"):
                continue  # what formats the output, or what runs after a failure
            words = (*one.words, *extra) if index == last else one.words
            if words and words[0].text == "cd" and len(words) > 1:
                directory = normal(words[1].text, directory) or ""
                continue
            home = package if directory == package.directory else self.manifests.get(directory, Manifest(directory))
            command = replace(caller, directory=directory, words=words, env=(*caller.env, *one.assignments))
            self._command(home, command, found, 0)

    def _command(self, package: Manifest, command: Command, found: list[Command], depth: int) -> None:
        """Take off one wrapper after the other."""
        if len(found) >= _MAX_COMMANDS or depth > 20 or not command.words:
            return
        rest, program = command.words[1:], command.program
        if program in _SETTERS:
            self._command(package, self._setting(command, rest), found, depth + 1)
        elif program in _PREFIXES:
            self._command(package, replace(command, words=_after_flags(rest, _PREFIXES[program].split())), found, depth + 1)
        elif program in _COVERAGE:
            self._covered(package, command, rest, found, depth)
        elif program in _SERIES:
            self._several(package, command, rest, found)
        elif program in ("concurrently", "conc"):
            self._lines(package, command, [one.text for one in rest if not _FLAG.match(one.text)], found)
        elif program in ("sh", "bash"):
            self._shell(package, command, rest, found)
        elif program in MANAGERS and not delegated(command):
            self._managed(package, command, rest, found, depth)
        elif program == "node" and len(rest) > 1 and rest[0].text == "--run":
            self._script(package, rest[1].text, command, [one for one in rest[2:] if one.text != "--"], found)
        elif program in ("make", "gmake"):
            self._make(package, command, rest, found)
        elif command.words[0].text.endswith(".sh"):
            self._shell(package, command, command.words, found)
        else:
            found.append(command)

    def _setting(self, command: Command, rest: Sequence[Word]) -> Command:
        env, at = list(command.env), 0
        while at < len(rest):
            name, sign, value = rest[at].text.partition("=")
            if re.fullmatch(r"[A-Za-z_]\w*", name) and sign:
                raw = rest[at].raw
                kept = raw.partition("=")[2] if raw.startswith(f"{name}=") and raw.count('"') % 2 == 0 and raw[:1] not in "\"'" else ""
                env.append((name, Word(kept, value) if kept or not value else word(value)))
            elif rest[at].text in ("-e", "-f", "--file", "-v", "-c"):
                at += 1
            elif not rest[at].text.startswith("-") and not rest[at].text.startswith(".env"):
                break
            at += 1
        return replace(command, words=tuple(rest[at:]), env=tuple(env))

    def _covered(self, package: Manifest, command: Command, rest: Sequence[Word], found: list[Command], depth: int) -> None:
        requires = [*command.requires, *self._nyc_requires(package)]
        words = list(rest)
        if command.program in ("istanbul", "isparta", "babel-istanbul"):
            if not words or words[0].text not in ("cover", "test"):
                return
            words = words[1:]
        while words and (words[0].text.startswith("-") or words[0].text in ("instrument",)):
            flag = words.pop(0).text
            if flag == "--":
                break
            if flag in ("-i", "--require") and words and command.program == "nyc":
                requires.append(words[0].text)
            if flag in _VALUE_FLAGS and words:
                words.pop(0)
        if not words or words[0].text in ("report", "check-coverage", "merge", "instrument"):
            return
        if command.program in ("istanbul", "isparta", "babel-istanbul"):
            words = [one for one in words if one.text != "--"]
            if not re.search(r"(^|/)\.bin/|\.js$", words[0].text) and "/" not in words[0].text:
                words[0] = word(words[0].text)
        self._command(package, replace(command, words=tuple(words), requires=tuple(requires)), found, depth + 1)

    def _nyc_requires(self, package: Manifest) -> list[str]:
        settings = table(package.raw.get("nyc"))
        for name in (".nycrc", ".nycrc.json", ".nycrc.yml", ".nycrc.yaml"):
            if (path := join(package.directory, name)) in self.tree:
                settings = table(read_yaml(self.tree.read(path)))
        value = settings.get("require")
        return [one for one in value if isinstance(one, str)] if isinstance(value, list) else [value] if isinstance(value, str) else []

    def _several(self, package: Manifest, command: Command, rest: Sequence[Word], found: list[Command]) -> None:
        names = list(package.scripts)
        for one in rest:
            if one.text == "--":
                break
            if _FLAG.match(one.text):
                continue
            called = one.text.split(" ")[0]
            pattern = called.replace("**", "*")
            for name in [name for name in names if name == called] or [name for name in names if fnmatch.fnmatchcase(name, pattern)]:
                self._script(package, name, command, (), found)

    def _lines(self, package: Manifest, command: Command, lines: Sequence[str], found: list[Command]) -> None:
        for line in lines:
            managed = re.fullmatch(r"(?:npm|yarn|pnpm|bun):([\w:.*-]+)", line)
            if managed:
                for name in [name for name in package.scripts if fnmatch.fnmatchcase(name, managed[1])]:
                    self._script(package, name, command, (), found)
            elif line in package.scripts and " " not in line:
                self._script(package, line, command, (), found)
            else:
                self._line(package, line, command, (), found)

    def _shell(self, package: Manifest, command: Command, rest: Sequence[Word], found: list[Command]) -> None:
        if len(rest) >= 2 and rest[0].text in ("-c", "-ec", "-xc", "-lc"):
            self._line(package, rest[1].text, command, (), found)
            return
        names = [one.text for one in rest if not one.text.startswith("-")]
        path = normal(names[0], command.directory) if names else None
        text = self.tree.read(path) if path else None
        if f"{path}:" in command.via:
            return
        self._files += 1
        if text is None or len(text) > 20_000 or len(command.via) >= _MAX_DEPTH or self._files > _MAX_FILES:
            found.append(command)
            return
        inner: list[Command] = []
        for line in text.replace("\\\n", " ").splitlines():
            stripped = line.strip()
            if stripped and not stripped.startswith(("#", "set ", "echo ", "export PATH")) and (read := read_line(stripped)):
                kept = [one for one in read if one.words and not one.words[0].text.startswith(("$", '"$'))]
                for one in kept:
                    via = (*command.via, f"{path}:")
                    self._command(package, replace(command, words=one.words, env=(*command.env, *one.assignments), via=via), inner, 1)
        tested = any(recognise(one, self.tree) is not None for one in inner)
        if not inner or (not tested and any(_depends(one) for one in inner)):
            found.append(command)  # a program that only its shell can carry out
        else:
            found += [one for one in inner if recognise(one, self.tree) is not None or not _depends(one)]

    def _make(self, package: Manifest, command: Command, rest: Sequence[Word], found: list[Command]) -> None:
        text = self.tree.read(join(command.directory, "Makefile")) or self.tree.read(join(command.directory, "makefile"))
        targets = [one.text for one in rest if not one.text.startswith("-") and "=" not in one.text]
        key = f"{command.directory}/Makefile:{' '.join(targets)}"
        lines = [line for target in targets for line in recipe(text or "", target)]
        if not lines or key in command.via or len(command.via) >= _MAX_DEPTH:
            found.append(command)
            return
        for line in lines:
            self._line(package, line, replace(command, via=(*command.via, key)), (), found)

    def _managed(self, package: Manifest, command: Command, rest: Sequence[Word], found: list[Command], depth: int) -> None:
        words = list(rest)
        while words and words[0].text in (
            "-s",
            "--silent",
            "-q",
            "--quiet",
            "--if-present",
            "-T",
            "-B",
            "--bun",
            "run",
            "run-script",
            "rum",
        ):
            words.pop(0)
        if words and words[0].text in ("--prefix", "--cwd", "-C", "--dir") and len(words) > 1:
            directory = normal(words[1].text, package.directory) or ""
            package = self.manifests.get(directory, Manifest(directory))
            command = replace(command, directory=directory)
            words = words[2:]
            while words and words[0].text in ("run", "-s", "--silent"):
                words.pop(0)
        if not words:
            return
        name, tail = words[0].text, words[1:]
        name = {"t": "test", "tst": "test", "it": "test"}.get(name, name) if command.program == "npm" else name
        while tail and tail[0].text in ("-s", "--silent"):
            tail.pop(0)
        if tail and tail[0].text == "--":
            tail = tail[1:]
        elif command.program == "npm":
            tail = [one for one in tail if not one.text.startswith("-")]  # npm keeps these to itself
        own = command.program == "bun" and name == "test" and not any(one.text == "run" for one in rest)
        if named := [] if own else _called(package, name, command.program):
            for one in named:
                self._script(package, one, command, tail, found)
        elif name in ("exec", "x", "dlx", "node") and tail:
            inner = tail if name != "node" else words
            self._command(package, replace(command, words=tuple(inner)), found, depth + 1)
        elif command.program == "bun" and name == "test":
            found.append(replace(command, words=(word("bun"), word("test"), *tail)))
        elif command.program in ("yarn", "pnpm", "bun") and name not in ("install", "add", "pack", "publish", "audit", "link", "check"):
            self._command(package, replace(command, words=tuple(words)), found, depth + 1)


def _depends(command: Command) -> bool:
    """Whether a command of a shell file means something only where its variables are known, or where one before it led."""
    return command.program in ("cd", "source", ".") or re.search(r"\$[\w{(]", command.shell) is not None


def _called(package: Manifest, name: str, program: str) -> list[str]:
    """The scripts that a manager runs by a name."""
    if name in package.scripts:
        return [name]
    if program != "pnpm" or len(name) > 200 or not _PATTERN.fullmatch(name):
        return []
    return [one for one in package.scripts if len(one) < 200 and re.search(name[1:-1], one)]


def _after_flags(words: Sequence[Word], valued: Sequence[str]) -> tuple[Word, ...]:
    at = 0
    while at < len(words) and words[at].text.startswith("-"):
        at += 2 if words[at].text in valued else 1
    return tuple(words[at:])
