"""What Debian packages some packages of npm are built with or run with; base images have compilers, make and Python already."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from podgym.envs.build.languages.debian import lacking

__all__ = ["debian_packages"]

_NEEDS: Final[dict[str, str]] = {
    "canvas": "libcairo2-dev libpango1.0-dev libjpeg-dev libgif-dev librsvg2-dev",
    "node-canvas": "libcairo2-dev libpango1.0-dev libjpeg-dev libgif-dev librsvg2-dev",
    "pg-native": "libpq-dev",
    "libpq": "libpq-dev",
    "keytar": "libsecret-1-dev",
    "usb": "libudev-dev",
    "node-hid": "libudev-dev libusb-1.0-0-dev",
    "serialport": "libudev-dev",
    "robotjs": "libxtst-dev libpng-dev",
    "odbc": "unixodbc-dev",
    "speaker": "libasound2-dev",
    "zeromq": "libzmq3-dev",
    "gl": "libxi-dev libglu1-mesa-dev libglew-dev",
    "node-rdkafka": "librdkafka-dev",
    "mdns": "libavahi-compat-libdnssd-dev",
    "libxmljs": "libxml2-dev",
    "nodegit": "libkrb5-dev libssl-dev",
    "kerberos": "libkrb5-dev",
    "ffmpeg-static": "ffmpeg",
    "fluent-ffmpeg": "ffmpeg",
    "gm": "graphicsmagick imagemagick",
    "imagemagick": "imagemagick",
    "pngquant-bin": "libpng-dev",
    "gifsicle": "autoconf automake libtool",
    "mozjpeg": "nasm autoconf automake libtool",
    "node-sass": "python3",
    "git-raw-commits": "git",
}


def debian_packages(dependencies: Iterable[str], ci: Iterable[str]) -> tuple[str, ...]:
    """For the packages of all manifests, and what CI installs beyond what the image has."""
    found: list[str] = []
    for name in dependencies:
        found += _NEEDS.get(name, "").split()
    return tuple(dict.fromkeys([*found, *lacking(ci)]))
