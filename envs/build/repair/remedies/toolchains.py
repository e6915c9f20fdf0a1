"""Another version of the toolchain: the catalogue's nearest to the present one that the message accepts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from podgym.envs.build.catalogue import version_key
from podgym.envs.build.plan import TOOLS
from podgym.envs.build.repair.causes import Cause
from podgym.envs.build.repair.edits import with_exports, with_first_step, with_packages, with_prefix
from podgym.envs.build.repair.remedies.remedy import Case, Remedy, Table, another_system, another_toolchain
from podgym.envs.build.repair.versions import wanted

__all__ = ["TOOLCHAINS", "neighbours"]

_PIP_TOOLS: Final = f"{TOOLS}/tools"
_IGNORE_ENGINES: Final = {"npm_config_engine_strict": "false", "YARN_IGNORE_ENGINES": "true", "pnpm_config_engine_strict": "false"}


def _toolchain(case: Case, cause: Cause) -> Iterator[Remedy]:
    found = wanted(cause.subject)
    if found is not None and found[0] == case.tool:
        accepts = found[1]
        present = case.plan.toolchain
        image = case.catalogue.choose(case.tool, lambda version: version != present and accepts(version), prefer=present)
        if image is not None and image.name != case.plan.base:
            yield another_toolchain(case, image, f"The log asks for {cause.subject}.")
            further = case.catalogue.choose(
                case.tool, lambda version: version not in (present, image.version) and accepts(version), prefer=present
            )
            if further is not None:
                yield another_toolchain(case, further, f"The log asks for {cause.subject}.")
    if case.tool == "node" and cause.subject.startswith("node"):
        yield Remedy(
            "env:ignore-engines", "Declared ranges of Node are wider in practice.", with_exports(case.plan, _IGNORE_ENGINES, tests=False)
        )
    if case.tool == "rust" and "E0658" in cause.evidence:
        yield _bootstrap(case)


def neighbours(case: Case) -> Iterator[Remedy]:
    """Where a step failed and nothing says why: the next older version, then the next newer one."""
    here = version_key(case.plan.toolchain)
    images = case.catalogue.here(case.tool) or case.catalogue.of(case.tool)
    older = [image for image in images if version_key(image.version) < here]
    newer = [image for image in images if version_key(image.version) > here]
    for image in (*older[-1:], *newer[:1]):
        yield another_toolchain(case, image, "Nothing in the log says why.")


def _build_tool(case: Case, cause: Cause) -> Iterator[Remedy]:
    """CMake, Meson and Ninja newer than Debian's are on PyPI."""
    tool = cause.subject.split(" ")[0]
    if tool in ("cmake", "meson", "ninja"):
        script = (
            f"python3 -m venv {_PIP_TOOLS} && {_PIP_TOOLS}/bin/python -m pip install -q --upgrade {tool}\n"
            f"mkdir -p {_PIP_TOOLS}/path && ln -sf {_PIP_TOOLS}/bin/{tool} {_PIP_TOOLS}/path/{tool}\n"
        )
        if tool == "cmake":
            script += f"for p in ctest cpack; do ln -sf {_PIP_TOOLS}/bin/$p {_PIP_TOOLS}/path/$p; done\n"
        plan = with_prefix(case.plan, f'export PATH="{_PIP_TOOLS}/path:$PATH"\n')
        plan = with_first_step(with_packages(plan, ("python3", "python3-venv")), script)
        yield Remedy(f"newer:{tool}", f"The project wants {cause.subject}, which the distribution has not.", plan)
    elif tool == "node-gyp":
        plan = with_exports(with_packages(case.plan, ("python3",)), {"PYTHON": "/usr/bin/python3"}, tests=False)
        step = f'npm install -g --prefix {_PIP_TOOLS} node-gyp@9 --globalconfig "$(npm config get globalconfig)"\n'
        plan = with_first_step(
            with_exports(plan, {"npm_config_node_gyp": f"{_PIP_TOOLS}/lib/node_modules/node-gyp/bin/node-gyp.js"}, tests=False), step
        )
        yield Remedy("newer:node-gyp", "The project's node-gyp is older than its Python.", plan)
    elif tool == "autoconf":
        yield Remedy("packages:autoconf", "Autoconf is too old.", with_packages(case.plan, ("autoconf", "automake", "libtool")))


def _bootstrap(case: Case) -> Remedy:
    return Remedy("env:RUSTC_BOOTSTRAP", "Unstable features are let through.", with_exports(case.plan, {"RUSTC_BOOTSTRAP": "1"}))


def _unstable(case: Case, cause: Cause) -> Iterator[Remedy]:
    yield _bootstrap(case)


def _missing_system(case: Case, cause: Cause) -> Iterator[Remedy]:
    if cause.subject.lower() == case.plan.build_system:
        yield another_system(case, f"{cause.subject} cannot be had.")


TOOLCHAINS: Final[Table] = {
    "wrong_toolchain": _toolchain,
    "old_build_tool": _build_tool,
    "missing_build_system": _missing_system,
    "unstable_feature": _unstable,
}
