"""Frames, captures, names: the local provider's pure parts."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.sandbox import ImageRecipe, SandboxSpec
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.sandbox.local.inside import wire
from podgym.sandbox.local.inside.output import Capture
from podgym.sandbox.local.reaping import provider_name
from podgym.sandbox.owners import left_behind, own_owner, start_time
from podgym.sandbox.providers import ProviderError, open_provider

FRAMES = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=300)), max_size=8)


@given(FRAMES, st.lists(st.integers(1, 50), min_size=1))
def test_frames_survive_any_cutting(frames, sizes):
    data = b"".join(wire.frame(kind, ident, payload[:3], payload[3:]) for kind, ident, payload in frames)
    reader, found, turn = wire.FrameReader(), [], 0
    while data:
        size = sizes[turn % len(sizes)]
        found += reader.feed(data[:size])
        data, turn = data[size:], turn + 1
    assert found == frames


@given(FRAMES)
def test_frames_at_once(frames):
    data = b"".join(wire.frame(kind, ident, payload) for kind, ident, payload in frames)
    assert list(wire.FrameReader().feed(data)) == frames


@given(st.tuples(*[st.binary()] * 4), st.floats(0.001, 1e9), st.integers(0, 2**40))
def test_run_payload(parts, timeout_s, limit):
    script, cwd, env, stdin = parts
    payload = b"".join(wire.pack_run(script, cwd=cwd, env=env, stdin=stdin, timeout_s=timeout_s, output_limit=limit))
    assert wire.unpack_run(payload) == (timeout_s, limit, script, cwd, env, stdin)


@given(st.lists(st.binary(max_size=200)), st.integers(0, 100))
def test_a_capture_keeps_head_and_tail(pieces, limit):
    capture = Capture(limit)
    for piece in pieces:
        capture.add(piece)
    head, tail, total = capture.result()
    whole = b"".join(pieces)
    assert total == len(whole)
    if total <= limit:
        assert (head, tail) == (whole, b"")
    else:
        assert len(head + tail) == limit
        assert whole.startswith(head)
        assert whole.endswith(tail)
        assert abs(len(head) - len(tail)) <= 1


def test_a_capture_is_bounded_while_it_grows():
    capture = Capture(1000)
    for _ in range(100):
        capture.add(b"x" * 65536)
        assert len(capture._head) + len(capture._tail) < 200_000


def test_provider_names_tell_run_and_owner():
    name = provider_name("a.b/c")
    assert name.startswith(f"podgym.a_b_c.{os.getpid()}.{start_time(os.getpid())}.")
    assert start_time(2**22 + 5) == 0


def test_owners_are_told_from_processes_with_their_number():
    assert not left_behind(own_owner())
    host, pid, started = own_owner().rsplit("/", 2)
    assert left_behind(f"{host}/{pid}/{int(started) + 1}")
    assert left_behind(f"{host}/{2**22 + 5}/7")
    for unknown in ("", "x", f"{host}/1", f"elsewhere/{pid}/1", f"{host}/-1/x", f"{host}//"):
        assert not left_behind(unknown), "what cannot be told is left alone"


class TestOpening:
    async def test_local(self, tmp_path):
        provider = open_provider("local", {"scratch": tmp_path, "isolation": "off"})
        assert type(provider).__name__ == "LocalProvider"
        await provider.close()

    def test_a_class_of_ones_own(self, monkeypatch):
        class Mine:
            def __init__(self, size: int = 1) -> None:
                self.size = size

            async def create(self, spec):
                raise NotImplementedError

            async def close(self):
                pass

        module = types.ModuleType("my_sandboxes")
        module.Mine, module.Other = Mine, dict
        monkeypatch.setitem(sys.modules, "my_sandboxes", module)
        assert open_provider("my_sandboxes:Mine", {"size": 3}).size == 3
        with pytest.raises(ProviderError, match="wrong"):
            open_provider("my_sandboxes:Mine", {"colour": 3})
        with pytest.raises(ProviderError, match="not a sandbox provider"):
            open_provider("my_sandboxes:Other", {})
        with pytest.raises(ProviderError, match="cannot be loaded"):
            open_provider("my_sandboxes:None", {})

    @pytest.mark.parametrize("name", ["vagrant", ":X", "module:", ""])
    def test_unknown_names(self, name):
        with pytest.raises(ProviderError, match="No sandbox provider"):
            open_provider(name, {})

    def test_a_module_that_is_missing(self):
        with pytest.raises(ProviderError, match="no_such_module"):
            open_provider("no_such_module:Kind", {})

    def test_wrong_options_are_named(self):
        with pytest.raises(ProviderError, match="isolations"):
            open_provider("local", {"isolations": "off"})


async def test_relative_folders_are_those_of_the_process_that_named_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    provider = LocalProvider(LocalConfig(scratch=Path("scratch"), cache=Path("cache"), storage="disk"))
    sandbox = await provider.create(SandboxSpec(image="host", recipe=ImageRecipe(base="host", workdir="/work"), workdir="/work"))
    assert (await sandbox.run("echo here >file && cat file", timeout_s=20)).stdout.text() == "here\n"
    assert list((tmp_path / "scratch").iterdir())
    await sandbox.close()
    await provider.close()
    assert not list((tmp_path / "scratch").iterdir())
    assert not Path("/scratch").exists()
