"""Maps the top-level folders to `podgym.<folder>`; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

ROOMS = ("console", "rollout", "envs", "policy", "verifiers", "k8s", "sandbox", "traces", "errors")

setup(
    packages=[f"podgym.{package}" for package in find_packages(include=[pattern for room in ROOMS for pattern in (room, f"{room}.*")])],
    package_dir={f"podgym.{room}": room for room in ROOMS},
)
