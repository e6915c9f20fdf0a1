"""C and C++: CMake, Meson, Autotools and Makefiles."""

from podgym.envs.build.languages.native.module import CPP, C, NativeModule
from podgym.envs.build.languages.native.packages import (
    package_for_cmake,
    package_for_header,
    package_for_library,
    package_for_pkgconfig,
    package_for_program,
)

__all__ = [
    "CPP",
    "C",
    "NativeModule",
    "package_for_cmake",
    "package_for_header",
    "package_for_library",
    "package_for_pkgconfig",
    "package_for_program",
]
