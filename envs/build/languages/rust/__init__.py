"""Rust: cargo and libtest."""

from podgym.envs.build.languages.rust.module import RUST

__all__ = ["RUST"]
