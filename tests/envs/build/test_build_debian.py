"""What of CI's Debian packages is installed on a toolchain's image."""

from __future__ import annotations

import pytest

from podgym.envs.build.languages.debian import lacking
from podgym.envs.build.languages.node.native import debian_packages


@pytest.mark.parametrize(
    ("packages", "headers", "installed"),
    [
        ((), True, ()),
        (("build-essential", "zsh", "git", "libssl-dev", "zsh"), True, ("zsh",)),
        (("build-essential", "zsh", "libssl-dev"), False, ("zsh", "libssl-dev")),
        (("gcc-aarch64-linux-gnu", "qemu-user", "g++-multilib", "musl-tools", "libpcap-dev"), True, ("libpcap-dev",)),
    ],
)
def test_only_what_the_image_lacks_is_installed(packages: tuple[str, ...], headers: bool, installed: tuple[str, ...]) -> None:
    assert lacking(packages, headers=headers) == installed


def test_node_installs_what_its_packages_need_and_ci_adds() -> None:
    assert debian_packages(["keytar", "left-pad"], ["make", "libsecret-1-dev", "xvfb"]) == ("libsecret-1-dev", "xvfb")
