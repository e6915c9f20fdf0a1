"""Scripts that let plain Harbor grade and solve a task that podgym built.

Harbor runs `tests/test.sh` in the agent's own container, which is weaker than podgym's fresh sandbox but its rule: the
reward is what stands in `/logs/verifier/reward.txt`. For pytest and unittest the script runs the same runner with the same commands as
podgym does, and gives 1 only if every required id is reported as passed. Of other runners it knows the exit code alone, because their
images need not have anything that could read a report; where that does not decide, it ends without a reward and says why.
"""

from __future__ import annotations

import shlex
from importlib.resources import files

from podgym.verifiers.environment import ENVIRONMENT
from podgym.verifiers.grading import GradingPlan
from podgym.verifiers.reports.source import PLACE
from podgym.verifiers.runners import runner_source

__all__ = ["solution_script", "test_files"]


def test_files(plan: GradingPlan) -> dict[str, bytes]:
    """Files for `tests/`, by name."""
    frameworks = sorted({command.framework for command in plan.tests})
    if "program" in frameworks or any(file.inline for file in plan.hidden):
        return {"test.sh": _program_script(plan).encode()}
    made = {f"runners/{name}_main.py": runner_source(name) for name in frameworks}
    made["grade.py"] = files(__package__).joinpath("grade_main.py").read_bytes()
    made["test.sh"] = _script([command.python for command in plan.tests]).encode()
    return made


def _script(pythons: list[str]) -> str:
    candidates = shlex.join(dict.fromkeys([*pythons, "python3", "python"]))
    return f"""{_HEAD}echo 0 >"$logs/reward.txt"
for python in {candidates}; do
    if command -v "$python" >/dev/null 2>&1; then
        exec "$python" -I "$here/grade.py" "$here" "$logs"
    fi
done
echo "test.sh: no Python found to grade with" >&2
exit 1
"""


_HEAD = """#!/bin/sh
# Grades the work tree for Harbor: 1 or 0 in reward.txt.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
logs="${HARBOR_VERIFIER_LOGS:-/logs/verifier}"
mkdir -p "$logs"
"""


def _program_script(plan: GradingPlan) -> str:
    if (reason := _undecided(plan)) is not None:
        return f"{_HEAD}echo {shlex.quote(f'test.sh: {reason} Grade this task with podgym.')} >&2\nexit 1\n"
    lines = [_HEAD + 'echo 0 >"$logs/reward.txt"', f"cd -- {shlex.quote(plan.workdir)} || exit 1"]
    lines += [f"rm -rf -- {shlex.quote(path)}" for path in plan.removed]
    for file in plan.hidden:
        target = shlex.quote(f"./{file.path}")
        source = shlex.quote(file.source.removeprefix("tests/"))
        lines.append(f'rm -rf -- {target}; mkdir -p -- "$(dirname -- {target})" && cp -- "$here"/{source} {target} || exit 1')
        lines.append(f"chmod {'755' if file.executable else '644'} {target}")
    lines.append("report=$(mktemp -d) && failed=")
    for command in plan.tests:
        exports = "".join(f"export {name}={shlex.quote(value)}; " for name, value in sorted({**ENVIRONMENT, **command.env}.items()))
        script = command.script.replace("{targets}", shlex.join(command.targets)).replace(PLACE, '"$PODGYM_REPORT"')
        lines.append('export PODGYM_REPORT="$report/report"; rm -rf "$report/report"')
        run = f"sh -c {shlex.quote(script)}"
        lines.append(f"( cd -- {shlex.quote(command.cwd)} && {exports}exec {run} ) </dev/null || failed=1")
    lines.append('test -n "$failed" || echo 1 >"$logs/reward.txt"')
    return "\n".join(lines) + "\n"


def _undecided(plan: GradingPlan) -> str | None:
    """Why the exit codes of the commands do not tell a solution."""
    if any(file.inline for file in plan.hidden):
        return "Its hidden tests are a part of source files that the agent changes."
    if not plan.clean:
        return "Its test command fails with the solution too, because of tests that are not required."
    return None


def solution_script(workdir: str) -> str:
    """`solve.sh`: applies the gold patch that lies beside it."""
    return f"""#!/bin/sh
# Applies the reference solution.
set -e
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cd -- {shlex.quote(workdir)}
git apply --whitespace=nowarn "$here/gold.patch"
"""
