"""Debian packages that crates are linked with or built by, beyond what the toolchain's image has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["debian_packages", "linker_packages"]

_CRATES: Final[dict[str, tuple[str, ...]]] = {
    "alsa-sys": ("libasound2-dev",),
    "atk-sys": ("libatk1.0-dev",),
    "aws-lc-sys": ("cmake",),
    "aws-lc-fips-sys": ("cmake", "golang-go"),
    "bindgen": ("libclang-dev", "clang"),
    "bluetooth-serial-port": ("libbluetooth-dev",),
    "cairo-sys-rs": ("libcairo2-dev",),
    "clang-sys": ("libclang-dev", "clang"),
    "cmake": ("cmake",),
    "dbus": ("libdbus-1-dev",),
    "expat-sys": ("libexpat1-dev", "cmake"),
    "fontconfig-sys": ("libfontconfig1-dev",),
    "freetype-sys": ("libfreetype6-dev", "cmake"),
    "fuser": ("libfuse3-dev", "fuse3"),
    "gdk-pixbuf-sys": ("libgdk-pixbuf-2.0-dev",),
    "gdk-sys": ("libgtk-3-dev",),
    "gdk4-sys": ("libgtk-4-dev",),
    "glib-sys": ("libglib2.0-dev",),
    "gobject-sys": ("libglib2.0-dev",),
    "gpgme-sys": ("libgpgme-dev",),
    "gstreamer-sys": ("libgstreamer1.0-dev", "libgstreamer-plugins-base1.0-dev"),
    "gtk-sys": ("libgtk-3-dev",),
    "gtk4-sys": ("libgtk-4-dev",),
    "hidapi": ("libudev-dev", "libusb-1.0-0-dev"),
    "jack-sys": ("libjack-jackd2-dev",),
    "javascriptcore-rs-sys": ("libjavascriptcoregtk-4.1-dev",),
    "libdbus-sys": ("libdbus-1-dev",),
    "libpulse-sys": ("libpulse-dev",),
    "libseccomp-sys": ("libseccomp-dev",),
    "libsodium-sys": ("libsodium-dev",),
    "libsystemd-sys": ("libsystemd-dev",),
    "libudev-sys": ("libudev-dev",),
    "libusb1-sys": ("libusb-1.0-0-dev",),
    "llvm-sys": ("llvm-dev", "libpolly-14-dev"),
    "nettle-sys": ("nettle-dev", "libclang-dev", "clang"),
    "openblas-src": ("libopenblas-dev", "gfortran"),
    "pam-sys": ("libpam0g-dev",),
    "pango-sys": ("libpango1.0-dev",),
    "pcap": ("libpcap-dev",),
    "pcsc-sys": ("libpcsclite-dev",),
    "prost-build": ("protobuf-compiler", "libprotobuf-dev"),
    "protoc-rust": ("protobuf-compiler", "libprotobuf-dev"),
    "pyo3-ffi": ("python3-dev",),
    "rdkafka-sys": ("cmake", "libsasl2-dev"),
    "rocksdb": ("libclang-dev", "clang"),
    "sdl2-sys": ("libsdl2-dev",),
    "selinux-sys": ("libselinux1-dev", "libclang-dev", "clang"),
    "servo-fontconfig-sys": ("libfontconfig1-dev",),
    "smithay-client-toolkit": ("libxkbcommon-dev",),
    "soup3-sys": ("libsoup-3.0-dev",),
    "wayland-sys": ("libwayland-dev",),
    "webkit2gtk-sys": ("libwebkit2gtk-4.1-dev",),
    "x11": ("libx11-dev", "libxtst-dev", "libxi-dev"),
    "x11-dl": ("libx11-dev",),
    "xcb": ("libxcb1-dev", "libxcb-render0-dev", "libxcb-shape0-dev", "libxcb-xfixes0-dev"),
    "yeslogic-fontconfig-sys": ("libfontconfig1-dev",),
    "zmq-sys": ("libzmq3-dev",),
    "zstd-sys": (),
}
"""The images of Rust have the compilers, git, and the headers of OpenSSL, SQLite, PostgreSQL, MySQL, curl, zlib and the like."""
_LINKERS: Final = {"mold": "mold", "lld": "lld", "clang": "clang", "gold": "binutils"}
_LOCKED: Final = re.compile(r'^name = "([\w-]{1,200})"$', re.MULTILINE)


def debian_packages(lock: str, names: Iterable[str]) -> list[str]:
    """For the crates of a lock file, and those that manifests name."""
    crates = {*_LOCKED.findall(lock), *names}
    return [package for crate, packages in _CRATES.items() if crate in crates for package in packages]


def linker_packages(config: str) -> list[str]:
    """For the linkers that a cargo configuration names."""
    lines = [line for line in config.splitlines() if not line.lstrip().startswith("#") and re.search(r"link", line)]
    return [package for name, package in _LINKERS.items() if any(re.search(rf"\b{name}\b", line) for line in lines)]
