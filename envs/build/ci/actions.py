"""What a GitHub action that is not the repository's own is used for, read off its name and its inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from podgym.envs.build.ci.gathering import Gathering

__all__ = ["read_action"]

_INPUTS: Final[dict[str, str]] = {
    "python-version": "python", "node-version": "node", "java-version": "java", "go-version": "go", "rust-version": "rust",
    "toolchain": "rust", "rust-toolchain": "rust", "bun-version": "bun", "deno-version": "deno", "gradle-version": "gradle",
    "maven-version": "maven", "cmake-version": "cmake", "cmakeversion": "cmake", "ninja-version": "ninja", "uv-version": "uv",
    "poetry-version": "poetry", "pnpm-version": "pnpm", "yarn-version": "yarn", "npm-version": "npm", "meson-version": "meson",
    "ruby-version": "ruby", "php-version": "php", "jdk": "java", "java": "java", "node": "node", "python": "python", "go": "go",
    "pdm-version": "pdm", "hatch-version": "hatch", "clang-version": "clang", "gcc-version": "gcc", "llvm-version": "clang",
}  # fmt: skip
"""Of any action: names of inputs are what their authors agree on."""
_VERSION_OF: Final[dict[str, str]] = {
    "pnpm/action-setup": "pnpm", "astral-sh/setup-uv": "uv", "egor-tensor/setup-gcc": "gcc", "egor-tensor/setup-clang": "clang",
    "kyleMayes/install-llvm-action": "clang", "snok/install-poetry": "poetry", "abatilo/actions-poetry": "poetry",
    "jwlawson/actions-setup-cmake": "cmake", "volta-cli/action": "volta", "gradle/wrapper": "gradle",
}  # fmt: skip
_RUST: Final = re.compile(r"[\w.-]+/(rust-toolchain|setup-rust\S*)")
_RUST_VERSION: Final = re.compile(r"\d+\.\d+(\.\d+)?|nightly\S*|stable|beta")
"""As the reference of `dtolnay/rust-toolchain`; `v1` is the action's own version."""
_PACKAGES: Final[dict[str, tuple[str, ...]]] = {
    "arduino/setup-protoc": ("protobuf-compiler",), "federicocarboni/setup-ffmpeg": ("ffmpeg",),
    "animmouse/setup-ffmpeg": ("ffmpeg",), "ts-graphviz/setup-graphviz": ("graphviz",), "gabrielbb/xvfb-action": ("xvfb", "xauth"),
    "coactions/setup-xvfb": ("xvfb", "xauth"), "browser-actions/setup-chrome": ("chromium",),
    "nanasess/setup-chromedriver": ("chromium-driver",),
    "browser-actions/setup-firefox": ("firefox-esr",), "seanmiddleditch/gha-setup-ninja": ("ninja-build",),
    "ashutoshvarma/setup-ninja": ("ninja-build",),
    "hendrikmuhs/ccache-action": (), "r-lib/actions/setup-pandoc": ("pandoc",), "pandoc/actions/setup": ("pandoc",),
    "lukka/get-cmake": ("cmake", "ninja-build"), "bats-core/bats-action": ("bats",), "mig4/setup-bats": ("bats",),
}  # fmt: skip
_SERVICES: Final[dict[str, str]] = {
    "supercharge/redis-github-action": "redis", "supercharge/mongodb-github-action": "mongo", "ankane/setup-postgres": "postgres",
    "harmon758/postgresql-action": "postgres", "ankane/setup-mysql": "mysql", "ankane/setup-mariadb": "mariadb",
    "shogo82148/actions-setup-redis": "redis",
    "shogo82148/actions-setup-mysql": "mysql", "niden/actions-memcached": "memcached", "ikalnytskyi/action-setup-postgres": "postgres",
}  # fmt: skip
_APT_INPUTS: Final = ("packages", "apt", "apt-packages", "apt_packages", "debian-packages", "extra-packages", "tools")


def read_action(gathering: Gathering, uses: str, inputs: Mapping[str, str], *, directory: str, env: Mapping[str, str], job: str) -> None:
    """One `uses:` with its inputs, which are without expressions as far as those are known."""
    name, _, reference = uses.partition("@")
    name = name.strip().lower().rstrip("/")
    if name.startswith("docker://"):
        gathering.image(uses.removeprefix("docker://"))
        return
    for key, value in inputs.items():
        if tool := _INPUTS.get(key.lower()):
            gathering.version(tool, _versions(value))
    tool = next((tool for action, tool in _VERSION_OF.items() if name == action.lower()), "")
    if tool and inputs.get("version"):
        gathering.version(tool, inputs["version"])
    if _RUST.fullmatch(name) and _RUST_VERSION.fullmatch(reference) and "toolchain" not in inputs:
        gathering.version("rust", reference)
    for package in _PACKAGES.get(name, ()):
        gathering.package(package)
    if "apt" in name or "debian" in name:
        for key in _APT_INPUTS:
            for word in re.split(r"[\s,]+", inputs.get(key, "")):
                gathering.package(re.split(r"[=:]", word)[0])
    if service := _SERVICES.get(name):
        gathering.service(service)
    _scripts(gathering, name, inputs, directory=directory, env=env, job=job)


def _scripts(gathering: Gathering, name: str, inputs: Mapping[str, str], *, directory: str, env: Mapping[str, str], job: str) -> None:
    """Actions that are another way to run a command."""
    place = inputs.get("working-directory") or directory
    if name in ("gabrielbb/xvfb-action", "coactions/setup-xvfb", "nick-fields/retry", "nick-invision/retry", "cypress-io/github-action"):
        text = inputs.get("run") or inputs.get("command") or ""
        gathering.script(text, directory=place, env=env, job=job)
    elif name in ("actions-rs/cargo", "houseabsolute/actions-rust-cross") and inputs.get("command"):
        gathering.script(f"cargo {inputs['command']} {' '.join(inputs.get('args', '').split())}".strip(), directory=place, env=env, job=job)
    elif name in ("gradle/gradle-build-action", "gradle/actions/setup-gradle", "burrunan/gradle-cache-action") and inputs.get("arguments"):
        place = inputs.get("build-root-directory") or place
        gathering.script(f"./gradlew {' '.join(inputs['arguments'].split())}", directory=place, env=env, job=job)


def _versions(value: str) -> list[str]:
    """Several may stand in one input: by lines, by commas, or as a list in JSON."""
    return [part.strip(" '\"") for part in re.split(r"[\n,]", value.strip().strip("[]"))]
