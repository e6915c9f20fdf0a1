"""The three tools of a model that mends a plan: `bash` and `str_replace` in a sandbox, and `finish` with a proposal.

A `bash` call is a new shell in the directory in which the last one ended. What a call answers is cut to what a turn may hold.
"""

from __future__ import annotations

import json
import posixpath
import secrets
import shlex
from collections.abc import Mapping
from typing import Any, Final

from podgym.envs.build.plan import WORKDIR
from podgym.envs.build.repair.model.contract import Message, ToolCall
from podgym.envs.build.repair.model.proposal import Proposal
from podgym.sandbox import Sandbox

__all__ = ["TOOLS", "RepairTools", "arguments_of"]

_MAX_COMMAND: Final = 64 << 10
_MAX_FILE: Final = 4 << 20

_BASH: Final = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"], "additionalProperties": False}
_REPLACE: Final = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("path", "old", "new")},
    "required": ["path", "old", "new"],
    "additionalProperties": False,
}


def _tool(name: str, description: str, parameters: Mapping[str, Any]) -> Message:
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def tools() -> tuple[Message, ...]:
    """As the chat interface declares them."""
    return (
        _tool("bash", "Run a shell command in the sandbox, as root, with the network.", _BASH),
        _tool("str_replace", "Replace the one place of a file that reads `old` by `new`.", _REPLACE),
        _tool("finish", "End with the changes to the plan. It is then built from scratch with them.", Proposal.model_json_schema()),
    )


TOOLS: Final = ("bash", "str_replace", "finish")


def arguments_of(call: ToolCall, *names: str) -> dict[str, Any] | str:
    """The call's arguments, or what is wrong with them."""
    try:
        found = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return f"{call.name}: the arguments are not JSON."
    if not isinstance(found, dict):
        return f"{call.name}: the arguments are no JSON object."
    for name in names:
        if not isinstance(found.get(name), str) or "\0" in found[name]:
            return f"{call.name} takes {', '.join(names)}, all of them texts."
    return found


class RepairTools:
    """Of one sandbox."""

    def __init__(self, sandbox: Sandbox, *, timeout_s: float, output_bytes: int) -> None:
        self._sandbox, self._timeout_s, self._output_bytes = sandbox, timeout_s, output_bytes
        self._cwd = WORKDIR

    async def run(self, call: ToolCall, *, timeout_s: float) -> str:
        """What `bash` or `str_replace` answers. Raises `SandboxError`."""
        limit = max(1.0, min(timeout_s, self._timeout_s))
        if call.name == "bash":
            given = arguments_of(call, "command")
            return given if isinstance(given, str) else await self._bash(given["command"], limit)
        if call.name == "str_replace":
            given = arguments_of(call, "path", "old", "new")
            return given if isinstance(given, str) else await self._replace(given["path"], given["old"], given["new"])
        return f"There is no tool {call.name[:60]!r}; there are {', '.join(TOOLS)}."

    async def _bash(self, command: str, timeout_s: float) -> str:
        if len(command) > _MAX_COMMAND:
            return f"bash: the command is longer than {_MAX_COMMAND} characters."
        mark = f"podgym-{secrets.token_hex(8)}"
        inner = f'trap \'printf "\\n%s%s\\n" {mark} "$PWD"\' EXIT\n{command}\n'
        script = (
            f"exec 2>&1 </dev/null\ncd -- {shlex.quote(self._cwd)} 2>/dev/null || cd /\n"
            f"command -v bash >/dev/null && exec bash -c {shlex.quote(inner)}\nexec sh -c {shlex.quote(inner)}\n"
        )
        ran = await self._sandbox.run(script, timeout_s=timeout_s, output_limit=self._output_bytes)
        text, found, place = ran.stdout.text().rpartition(f"\n{mark}")
        if found:
            self._cwd = place.strip() or self._cwd
        else:
            text = ran.stdout.text()
        if ran.timed_out:
            return f"{text}\n[killed after {timeout_s:g} s]"
        return f"{text}\n[exit code {ran.exit_code}]" if ran.exit_code else text or "[no output]"

    async def _replace(self, path: str, old: str, new: str) -> str:
        place = posixpath.join(self._cwd, path)
        try:
            data = await self._sandbox.read(place)
        except OSError as error:
            return f"str_replace: {path} cannot be read: {error.strerror or type(error).__name__}."
        if len(data) > _MAX_FILE:
            return f"str_replace: {path} is larger than {_MAX_FILE} bytes."
        count = data.count(old.encode()) if old else 0
        if count != 1:
            return f"str_replace: `old` is in {path} {count} times; it must be there once."
        mode = await self._sandbox.run(f"stat -c %a -- {shlex.quote(place)}", timeout_s=20.0)
        digits = mode.stdout.text().strip()
        await self._sandbox.write(
            place, data.replace(old.encode(), new.encode()), mode=int(digits, 8) & 0o777 if digits.isdigit() else 0o644
        )
        return "ok"
