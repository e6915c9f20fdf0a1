"""Which plan is tried after a failure, and when none is."""

from __future__ import annotations

from typing import Any

import pytest

from podgym.envs.build import BuildError, BuildOptions, Prepared, read_plan
from podgym.envs.build.mending import Mender
from podgym.sandbox import ImageError, SandboxSpec

HEADER = "src/parse.c:1:10: fatal error: libxml/parser.h: No such file or directory\ncompilation terminated.\n"
SPEC = SandboxSpec(image="x")
PROVIDER: Any = None


@pytest.fixture
def prepared(history) -> Prepared:
    setup = "from setuptools import setup\nsetup(name='calc', py_modules=['calc'])\n"
    history.commit("start", {"calc.py": "x = 1\n", "setup.py": setup, "tests/test_calc.py": "def test_x(): pass\n"})
    fix = history.commit("Mend it", {"calc.py": "x = 2\n", "tests/test_calc.py": "import calc\ndef test_x(): assert calc.x == 2\n"})
    return read_plan(history.path, fix, issue=None, options=BuildOptions())


def failed(log: str, step: int | None = 1) -> ImageError:
    return ImageError("A step failed.", step=step, log=log)


async def test_a_missing_header_brings_its_package(prepared: Prepared) -> None:
    mender = Mender(BuildOptions(), PROVIDER)
    changed = await mender.next(prepared, SPEC, failed(HEADER))
    assert "libxml2-dev" in changed.plan.packages and mender.tried


async def test_what_did_not_help_is_taken_back(prepared: Prepared) -> None:
    mender = Mender(BuildOptions(), PROVIDER)
    first = failed(HEADER)
    changed = await mender.next(prepared, SPEC, first)
    seen = [changed.plan]
    with pytest.raises(ImageError) as caught:
        while True:
            changed = await mender.next(changed, SPEC, failed(HEADER))
            seen.append(changed.plan)
    assert caught.value is first, "the first plan's failure is what is told"
    assert all("libxml2-dev" not in plan.packages for plan in seen[1:])
    assert len(mender.tried) <= BuildOptions().repairs


async def test_what_helped_stays(prepared: Prepared) -> None:
    mender = Mender(BuildOptions(), PROVIDER)
    changed = await mender.next(prepared, SPEC, failed(HEADER))
    again = await mender.next(changed, SPEC, failed(HEADER.replace("libxml/parser.h", "curl/curl.h")))
    assert "libxml2-dev" in again.plan.packages and any("curl" in name for name in again.plan.packages)


@pytest.mark.parametrize("options", [{"repairs": 0}, {"repair_timeout_s": 0}], ids=str)
async def test_none_are_tried(prepared: Prepared, options: dict[str, Any]) -> None:
    first = failed(HEADER)
    with pytest.raises(ImageError) as caught:
        await Mender(BuildOptions(**options), PROVIDER).next(prepared, SPEC, first)
    assert caught.value is first


async def test_an_edited_plan_is_run_as_it_is(prepared: Prepared) -> None:
    with pytest.raises(ImageError):
        await Mender(BuildOptions(plan=prepared.plan), PROVIDER).next(prepared, SPEC, failed(HEADER))


async def test_no_environment_makes_a_passing_test_fail(prepared: Prepared) -> None:
    hopeless = BuildError("They pass already.", stage="validate", reason="already_passing", details=HEADER)
    with pytest.raises(BuildError) as caught:
        await Mender(BuildOptions(), PROVIDER).next(prepared, SPEC, hopeless)
    assert caught.value is hopeless
