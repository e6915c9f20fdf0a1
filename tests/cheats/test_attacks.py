"""Every known attack fools a grader that does nothing against it, is worth nothing under podgym's, and is no obstacle to the fix."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
import tomli_w

from podgym.envs.attacks import ATTACKS, Attack, Row, try_attacks
from podgym.envs.code import task_digest
from podgym.envs.code.known import known_verdicts
from podgym.envs.harbor import read_task
from podgym.verifiers import BaseTree, Change, GradingPlan

# Where the interpreter's own directories can be written to: in the virtual environment of the pytest task.
_IN_VENV = {"D3.site", "D3.pth"}
# Where they can be written to on Docker only.
_NOT_LOCAL = {
    "D16.unittest": "the interpreter is read-only in local sandboxes",
    "D3.ld-so": "/etc is read-only in local sandboxes",
    "D3.usercustomize": "a Python of local sandboxes starts nothing of its user's",
    "D3.user-pth": "a Python of local sandboxes starts nothing of its user's",
}
_PER_PROVIDER = {"local": (), "docker": (pytest.mark.docker, pytest.mark.slow)}


def _framework(attack: Attack) -> str:
    return attack.framework or ("pytest" if attack.id in _IN_VENV or attack.id in ("D8.patch", "D8.null", "D8.directory") else "unittest")


# Attacks on what both frameworks share, which each offers in its own way: tried under pytest as well.
_UNDER_BOTH = {"D5.secret", "D7.yes", "D7.frames", "D14.read", "D14.memory"}
CASES = [
    *((_framework(attack), attack.id, attack.id) for attack in ATTACKS),
    *(("pytest", identity, f"{identity}-pytest") for identity in sorted(_UNDER_BOTH)),
]
PARAMETERS = [
    pytest.param(
        (provider, framework),
        attack,
        id=f"{provider}-{name}",
        marks=(*marks, *((pytest.mark.skip(reason=_NOT_LOCAL[attack]),) if provider == "local" and attack in _NOT_LOCAL else ())),
    )
    for provider, marks in _PER_PROVIDER.items()
    for framework, attack, name in CASES
]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("where", "attack"), PARAMETERS)
def test_attack(where: tuple[str, str], attack: str, matrices) -> None:
    row: Row = matrices(*where)[attack]
    assert row.plain == "fooled", f"the plain grader ({row.grader}) is {row.plain}: {row.why}{row.message}"
    assert not row.scores, f"{row.does} It is worth {row.reward}."
    assert row.status in ("scored", "unscored")
    by_id = {one.id: one for one in ATTACKS}
    if by_id[attack].beside_fix:
        assert row.fix == 1.0, f"the fix is worth {row.fix} beside it"


async def test_no_verdict_of_a_row_is_known_beforehand(tasks, local, tmp_path: Path) -> None:
    """A task that its fix does not solve, and a file beside its tests that says it does."""
    directory = tmp_path / "task"
    shutil.copytree(tasks["unittest"], directory)
    task = read_task(directory)
    plan = GradingPlan.model_validate({**task.grading, "pass_to_pass": ["tests/test_more.py::MoreTest::no_such_test"], "decoys": None})
    fixed = BaseTree.from_tar(directory / plan.base).read("calc.py").replace(b"left - right", b"left + right  # both are summands")
    digest = task_digest(plan, task.sandbox)
    (directory / "tests/grading.json").write_text(plan.model_dump_json())
    settings = tomllib.loads((directory / "task.toml").read_text())
    settings["metadata"]["podgym"]["digest"] = digest
    (directory / "task.toml").write_text(tomli_w.dumps(settings))
    known = known_verdicts(plan, digest=digest, gold=Change.of({"calc.py": fixed}), without={})
    (directory / "tests/verdicts.json").write_bytes(known)
    attack = next(attack for attack in ATTACKS if attack.leak and attack.beside_fix)
    (row,) = (await try_attacks(read_task(directory), directory, [attack], provider=local)).rows
    assert (row.status, row.fix, row.good) == ("scored", 0.0, False)


def test_every_row_of_the_list_is_there() -> None:
    rows = {attack.id.partition(".")[0] for attack in ATTACKS}
    # A14 is about layers, which are not to be seen from within a sandbox; C4 is about the agent's tools.
    assert rows >= {f"A{n}" for n in range(1, 17)} - {"A14"}
    assert rows >= {f"B{n}" for n in range(1, 7)} | {"C1", "C2", "C3", "C5"}
    assert rows >= {f"D{n}" for n in range(1, 17)}


def test_what_both_frameworks_offer_is_tried_under_both() -> None:
    assert {attack.id for attack in ATTACKS if _framework(attack) == "unittest" and not attack.framework} >= _UNDER_BOTH


def test_attacks_are_told_apart() -> None:
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS) >= 60
    assert all(attack.does.endswith(".") and attack.name for attack in ATTACKS)
