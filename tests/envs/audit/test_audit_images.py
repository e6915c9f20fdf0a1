"""Images in every layout that is read, and tars that mean harm: each is read right, or refused with a reason."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from podgym.envs.audit import DirectoryLayer, LayerError, TarLayer, open_image
from podgym.envs.audit.layers import Entry
from podgym.envs.audit.pieces import MIN_BYTES, Budget, Part, parts, pieces
from podgym.envs.audit.repositories import GitDirectories, Roots
from podgym.sandbox import Copy, ImageRecipe, SandboxSpec, Step
from podgym.sandbox.local import LocalConfig, LocalProvider


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for info, data in members:
            info.size = len(data) if info.isreg() else info.size
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def member(name: str, data: bytes = b"", **changes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, data


def entries(data: bytes, **more: Any) -> list[Entry]:
    return list(TarLayer(io.BytesIO(data), digest="x", **more).entries())


def test_entries_of_a_tar() -> None:
    data = tar_of(
        member("./a/b.txt", b"text"),
        member("a/same", type=tarfile.LNKTYPE, linkname="./a/b.txt"),
        member("a/lost", type=tarfile.LNKTYPE, linkname="nowhere"),
        member("a/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("dev/null", type=tarfile.CHRTYPE),
        member("pipe", type=tarfile.FIFOTYPE),
        member("./", type=tarfile.DIRTYPE),
        member("/absolute//name/", type=tarfile.DIRTYPE),
        member("a/.wh.gone", b""),
        member("b/.wh..wh..opq", b""),
        member("b/.wh..wh.aufs", b""),
    )
    layer = TarLayer(io.BytesIO(b"in front" + data), digest="x", start=8)
    found = list(layer.entries())
    assert [(entry.path, entry.kind) for entry in found] == [
        ("a/b.txt", "file"),
        ("a/same", "file"),
        ("a/lost", "other"),
        ("a/link", "link"),
        ("dev/null", "other"),
        ("pipe", "other"),
        ("absolute/name", "directory"),
        ("a/gone", "whiteout"),
        ("b", "opaque"),
    ]
    assert layer.open(found[1]).read() == b"text"
    assert found[3].target == "/etc/passwd"
    assert [entry.path for entry in entries(data, prefix="/x/", whiteouts=False)][-3:] == [
        "x/a/.wh.gone",
        "x/b/.wh..wh..opq",
        "x/b/.wh..wh.aufs",
    ]


def claims_a_huge_header() -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 33
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(4096)


def sparse() -> bytes:
    info = tarfile.TarInfo("x")
    info.type = tarfile.GNUTYPE_SPARSE
    buffer = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    buffer[483:495] = b"77777777777\0"
    buffer[148:156] = b" " * 8
    buffer[148:156] = b"%06o\0 " % sum(buffer[:512])
    return bytes(buffer) + bytes(1024)


WHOLE = tar_of(member("a", b"x" * 2000), member("b", b"y" * 2000))

HOSTILE: dict[str, tuple[bytes, str]] = {
    "leads out": (tar_of(member("a/../../etc/passwd", b"x")), "leads out"),
    "a whiteout that leads out": (tar_of(member("../.wh.x", b"")), "leads out"),
    "a header of gigabytes": (claims_a_huge_header(), "extended header claims"),
    "a sparse file": (sparse(), "sparse"),
    "cut in a file": (WHOLE[:1500], "not a whole tar|cut short|no entry"),
    "cut in a header": (WHOLE[:2600], "not a whole tar|cut short|no entry"),
    "a damaged header": (WHOLE[:2560] + b"?" * 512 + WHOLE[3072:], "no entry"),
    "not a tar": (b"hello" * 1000, "not a whole tar"),
    "nothing": (b"", "not a whole tar"),
}


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_hostile_tars_are_refused(kind: str) -> None:
    data, say = HOSTILE[kind]
    with pytest.raises(LayerError, match=say):
        entries(data)


def test_too_many_entries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("podgym.envs.audit.layers.ENTRIES", 3)
    with pytest.raises(LayerError, match="more than 3"):
        entries(tar_of(*(member(str(number)) for number in range(5))))
    for number in range(5):
        (tmp_path / str(number)).touch()
    with pytest.raises(LayerError, match="more than 3"):
        list(DirectoryLayer([(tmp_path, "")], digest="x").entries())


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_a_tar_or_an_error(data: bytes) -> None:
    try:
        for entry in entries(WHOLE[:512] + data):
            assert ".." not in entry.path.split("/")
    except LayerError as error:
        assert error.message


def test_a_directory_as_a_layer(tmp_path: Path) -> None:
    root = tmp_path / "layer"
    (root / "bin").mkdir(parents=True)
    (root / "bin/tool").write_bytes(b"program")
    (root / "out").symlink_to("/etc")
    os.mkfifo(root / "pipe")
    (root / "kept-out").mkdir()
    layer = DirectoryLayer([(root, "/opt/venv"), (root / "bin", "")], digest="x", without=frozenset({"opt/venv/kept-out"}))
    found = {entry.path: entry for entry in layer.entries()}
    assert {path: entry.kind for path, entry in found.items()} == {
        "opt/venv/bin": "directory",
        "opt/venv/bin/tool": "file",
        "opt/venv/out": "link",
        "opt/venv/pipe": "other",
        "tool": "file",
    }
    with layer.open(found["opt/venv/bin/tool"]) as file:
        assert file.read() == b"program"
    (root / "bin").rename(root / "moved")
    (root / "bin").symlink_to("moved")
    with pytest.raises(LayerError, match="cannot be read"):
        layer.open(found["opt/venv/bin/tool"])


Blobs = dict[str, bytes]


def oci(layers: list[bytes], *, packed: Callable[[bytes], bytes] = bytes, **changes: Any) -> Blobs:
    """Files of an OCI layout; `changes` replace what the configuration says."""
    blobs: Blobs = {}

    def blob(data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}

    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config = {"config": {"Env": ["A=1"], "WorkingDir": "/w"}, "rootfs": {"diff_ids": diff_ids}, **changes}
    manifest = blob(json.dumps({"config": blob(json.dumps(config).encode()), "layers": [blob(packed(layer)) for layer in layers]}).encode())
    index = blob(
        json.dumps({"manifests": [{**manifest, "platform": {"os": "linux"}}, {**blob(b"{}"), "platform": {"os": "unknown"}}]}).encode()
    )
    blobs["index.json"] = json.dumps({"manifests": [index]}).encode()
    return blobs


def legacy(layers: list[bytes], **changes: Any) -> Blobs:
    """What engines before containerd's store save: a folder a layer, the manifest last."""
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config = json.dumps({"config": {"Env": ["A=1"], "WorkingDir": "/w"}, "rootfs": {"diff_ids": diff_ids}}).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    files: Blobs = {f"l{number}/layer.tar": layer for number, layer in enumerate(layers)}
    manifest = {"Config": name, "Layers": [f"l{number}/layer.tar" for number in range(len(layers))], **changes}
    return {**files, name: config, "manifest.json": json.dumps([manifest]).encode()}


def save(path: Path, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info, _ = member(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            tar.addfile(member(name, type=tarfile.SYMTYPE, linkname=target)[0])
    return path


def unpack(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


LAYERS = [tar_of(member("a", b"one")), tar_of(member("b", b"two"))]

LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "an OCI tar": lambda path: save(path, oci(LAYERS)),
    "an OCI directory": lambda path: unpack(path, oci(LAYERS)),
    "gzip": lambda path: save(path, oci(LAYERS, packed=gzip.compress)),
    "zstd": lambda path: unpack(path, oci(LAYERS, packed=zstandard.compress)),
    "docker save": lambda path: save(path, legacy(LAYERS)),
    "docker save, unpacked": lambda path: unpack(path, legacy(LAYERS)),
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_layouts(tmp_path: Path, layout: str) -> None:
    path = LAYOUTS[layout](tmp_path / "image")
    with open_image(str(path)) as image:
        assert [[entry.path for entry in one.layer.entries()] for one in image.layers] == [["a"], ["b"]]
        assert [one.layer.open(next(iter(one.layer.entries()))).read() for one in image.layers] == [b"one", b"two"]
        assert image.config.env == ("A=1",) and image.config.workdir == "/w"
        assert image.layers[1].name == f"layer 2 {hashlib.sha256(LAYERS[1]).hexdigest()[:12]}"


def test_a_layer_that_comes_twice_is_a_link(tmp_path: Path) -> None:
    files = legacy([LAYERS[0], LAYERS[0]])
    del files["l1/layer.tar"]
    with open_image(str(save(tmp_path / "x.tar", files, {"l1/layer.tar": "../l0/layer.tar"}))) as image:
        assert [[entry.path for entry in one.layer.entries()] for one in image.layers] == [["a"], ["a"]]


def bomb(layer: bytes) -> bytes:
    return gzip.compress(bytes(60 << 20), 9)


def changed(files: Blobs, old: bytes, new: bytes) -> Blobs:
    return {name: data.replace(old, new) for name, data in files.items()}


BROKEN: dict[str, tuple[Callable[[], Blobs], str]] = {
    "neither layout": (lambda: {"x": b"y"}, "no saved image"),
    "a layer of another image": (lambda: changed(legacy(LAYERS), b"two", b"TWO"), "which the configuration lists"),
    "a blob that is not its name": (lambda: changed(oci(LAYERS), b"two", b"TWO"), "not what its name says"),
    "a missing layer": (lambda: {k: v for k, v in legacy(LAYERS).items() if k != "l1/layer.tar"}, "missing"),
    "a missing configuration": (lambda: legacy(LAYERS, Config="nothing.json"), "where an object belongs"),
    "fewer layers than listed": (lambda: legacy(LAYERS, Layers=["l0/layer.tar"]), "has 1 layers and its configuration lists 2"),
    "two images": (lambda: changed(legacy(LAYERS), b'[{"Config"', b'[{}, {"Config"'), "holds 2 images"),
    "a name that leads out": (lambda: legacy(LAYERS, Layers=["../../etc/hostname", "l1/layer.tar"]), "leads out"),
    "no JSON": (lambda: {**legacy(LAYERS), "manifest.json": b"[{"}, "not JSON"),
    "JSON without end": (lambda: {**legacy(LAYERS), "manifest.json": b"[" * 100_000}, "not JSON"),
    "a configuration of another shape": (lambda: oci(LAYERS, config={"Env": "x", "Labels": [1]}), "where an object belongs"),
    "a history of another shape": (lambda: oci(LAYERS, history=["x"]), "where an object belongs"),
    "a bomb": (lambda: oci([LAYERS[0]], packed=bomb), "unpacks to more than|which the configuration lists"),
    "a digest that is a path": (lambda: changed(oci(LAYERS), b'"digest": "sha256:', b'"digest": "../../x:'), "not a digest"),
}


@pytest.mark.parametrize("kind", list(BROKEN))
@pytest.mark.parametrize("place", [save, unpack])
def test_broken_images_are_refused(tmp_path: Path, kind: str, place: Callable[..., Path]) -> None:
    make, say = BROKEN[kind]
    path = place(tmp_path / "image", make())
    tracemalloc.start()
    with pytest.raises(LayerError, match=say), open_image(str(path)):
        raise AssertionError("it was opened")
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_images_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "packed.tar.gz").write_bytes(gzip.compress(LAYERS[0]))
    for source, say in (
        (str(tmp_path / "nothing.tar"), "no file|No such|Docker"),
        (str(tmp_path / "packed.tar.gz"), "compressed as a whole"),
        ("local", "no image of this task"),
    ):
        with pytest.raises(LayerError, match=say) as error, open_image(source):
            raise AssertionError("it was opened")
        assert error.value.remedy


async def test_layers_of_the_local_provider(tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "x.tar").write_bytes(tar_of(member("in-repo", b"1")))
    recipe = ImageRecipe(
        base="host",
        workdir="/work",
        copies=(Copy(source="x.tar", target="/work"),),
        before=(Step(run="mkdir -p /opt/kept && echo below > /opt/kept/one && echo both > /opt/kept/two"),),
        after=(Step(run="rm /opt/kept/one && echo above > /opt/kept/two"),),
        writable=("/opt/kept",),
    )
    spec = SandboxSpec(image="x", recipe=recipe, context=str(context), workdir="/work", env={"B": "2"})
    config = LocalConfig(cache=tmp_path / "cache", scratch=tmp_path / "scratch")
    with pytest.raises(LayerError, match="no image of this task"), open_image("local", spec=spec, local=config):
        raise AssertionError("it was opened")
    provider = LocalProvider(config)
    try:
        await (await provider.create(spec)).close()
        if not provider.isolated:
            pytest.skip("local sandboxes are not isolated here, so layers have no whiteouts")
    finally:
        await provider.close()
    with open_image("local", spec=spec, local=config) as image:
        found = [{entry.path: entry.kind for entry in one.layer.entries()} for one in image.layers]
        assert found == [
            {"opt/kept/one": "file", "opt/kept/two": "file"},
            {"opt/kept/one": "whiteout", "opt/kept/two": "file", "work/in-repo": "file"},
        ]
        assert image.config.env == ("B=2",) and image.config.history == (recipe.before[0].run, recipe.after[0].run)


class TestArchives:
    def read(self, data: bytes, name: str = "x", **limits: Any) -> tuple[list[str], list[str]]:
        told: list[str] = []
        budget = Budget(lambda place, why: told.append(f"{place}: {why}"), **limits)
        places = [part.place for part in parts(name, io.BytesIO(data), len(data), budget)]
        return places, told

    def test_depth(self) -> None:
        data = b"deep"
        for _ in range(6):
            data = gzip.compress(data)
        places, told = self.read(data)
        assert len(places) == 5 and "nested more than 4 deep" in told[0]

    def test_a_large_member_is_searched_to_its_end_and_not_held_in_memory(self, tmp_path: Path) -> None:
        line = b"a line that only the fix adds = 42;"
        (tmp_path / "lib.so").write_bytes(os.urandom(1 << 20) * 90 + line)
        with tarfile.open(tmp_path / "x.tar.gz", mode="w:gz", compresslevel=1) as archive:
            archive.add(tmp_path / "lib.so", "lib.so")
        told: list[str] = []
        found = 0
        tracemalloc.start()
        with (tmp_path / "x.tar.gz").open("rb") as file:
            for part in parts("x.tar.gz", file, (tmp_path / "x.tar.gz").stat().st_size, Budget(lambda place, why: told.append(why))):
                part.file.seek(0)
                while part.place.endswith("lib.so") and (chunk := part.file.read(1 << 20)):
                    found += line in chunk
        assert found == 1 and not told
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
        tracemalloc.stop()

    @pytest.mark.parametrize("packed", [gzip.compress(bytes(80 << 20)), zstandard.compress(bytes(80 << 20))])
    def test_bombs(self, packed: bytes) -> None:
        tracemalloc.start()
        places, told = self.read(packed)
        assert places == ["x", "x!/content"] and "too large or packed too well" in told[0]
        assert tracemalloc.get_traced_memory()[1] < 400 << 20
        tracemalloc.stop()

    def test_members_and_bytes(self) -> None:
        data = tar_of(*(member(str(number), b"x" * 100) for number in range(50)))
        assert "too many members" in self.read(data, members_left=10)[1][0]
        places, told = self.read(data, bytes_left=1000)
        assert len(places) < 15 and "too large" in told[0]

    @pytest.mark.parametrize("head", [b"PK\x03\x04zip", b"\x1f\x8bgz", b"\x28\xb5\x2f\xfdzstd", b"\xfd7zXZ\x00xz", bytes(257) + b"ustar"])
    def test_damaged_archives_have_no_members_and_are_no_error(self, head: bytes) -> None:
        places, told = self.read(head + bytes(300))
        assert places[0] == "x" and told == []

    @settings(deadline=None)
    @given(st.binary(max_size=300), st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"!<arch>\n"]))
    def test_any_bytes_are_an_archive_or_none(self, data: bytes, head: bytes) -> None:
        self.read(head + data, name="x.deb")

    @settings(deadline=None)
    @given(st.binary(max_size=300), st.sampled_from(["x.pyc", "X.class", "x", "x.json"]))
    def test_any_bytes_have_pieces(self, data: bytes, name: str) -> None:
        for head in (b"", b"\xca\xfe\xba\xbe", b"\0"):
            part = Part(name, io.BytesIO(head + data), len(head) + len(data))
            assert all(len(piece) >= MIN_BYTES for some in pieces(part) for piece in some)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["file", "link", "other", "directory", "whiteout", "opaque"]), st.text("a/.git", max_size=12)),
        max_size=12,
    )
)
def test_git_directories_stay_below_their_folder(tmp_path_factory: pytest.TempPathFactory, listed: list[tuple[Any, str]]) -> None:
    """Whatever a layer says, nothing is written beside, and what is on disk is what is remembered."""
    folder = tmp_path_factory.mktemp("git")
    made = [Entry("/".join(filter(lambda part: part not in ("", ".", ".."), f"r/.git/{name}".split("/"))), kind) for kind, name in listed]

    class Fake:
        digest = "x"

        def entries(self) -> Any:
            return iter(made)

        def open(self, entry: Entry) -> Any:
            return io.BytesIO(b"")

    roots = Roots()
    for entry in made:
        roots.see(entry)
    (folder / "in").mkdir()
    state = GitDirectories(folder / "in", ["r/.git"])
    try:
        state.apply(Fake())
    except LayerError:
        return
    finally:
        assert [path.name for path in folder.iterdir()] == ["in"]
        assert not any(path.is_symlink() for path in folder.rglob("*"))
    (one,) = state.all.values()
    assert {path.relative_to(one.folder).as_posix() for path in one.folder.rglob("*") if path.is_file()} == set(one.files)
    shutil.rmtree(folder)
