"""Names that may have been meant, as they are found and as they are ranked."""

import os
import time
from pathlib import Path

import pytest
from opendal import AsyncOperator

from jumpstarter_driver_tftp.files import Directory
from jumpstarter_driver_tftp.names import UNFINISHED
from jumpstarter_driver_tftp.near import MAX_DEPTH, MAX_ENTRIES, MAX_NEAR, nearest, rank
from jumpstarter_driver_tftp.stores import Store
from jumpstarter_driver_tftp.stores_test import keep

BOARD = [
    "boot.img",
    "boot.scr.uimg",
    "pxelinux.0",
    "pxelinux.cfg/Default",
    "pxelinux.cfg/01-aa-bb-cc-dd-ee-ff",
    "am62/boot.scr",
    "am62/k3-am625-sk.dtb",
    "rpi4/start4.elf",
    "zImage",
]


@pytest.mark.parametrize(
    ("asked", "best"),
    [
        ("pxelinux.cfg/default", ["pxelinux.cfg/Default"]),
        ("PXELINUX.CFG/DEFAULT", ["pxelinux.cfg/Default"]),
        ("zimage", ["zImage"]),
        ("boot.scr", ["am62/boot.scr"]),
        ("rpi3/start4.elf", ["rpi4/start4.elf"]),
        ("start4.elf", ["rpi4/start4.elf"]),
        ("am62/k3-am625sk.dtb", ["am62/k3-am625-sk.dtb"]),
        ("pxelinux.cfg/01-aa-bb-cc-dd-ee-fe", ["pxelinux.cfg/01-aa-bb-cc-dd-ee-ff"]),
        ("boot.img.", ["boot.img"]),
        ("lpxelinux.0", ["pxelinux.0"]),
        ("Start4.ELF", ["rpi4/start4.elf"]),
        ("something/else", []),
        ("x", []),
        ("", []),
        ("boot.img" * 1000, []),
    ],
)
def test_best(asked: str, best: list[str]):
    assert rank(asked, BOARD)[:1] == best


def test_other_case_before_other_directory_before_other_spelling():
    names = ["a/boot.imh", "b/Boot.img", "b/boot.img", "a/Boot.IMG", "a/boo.img", "c/c/boot.img"]
    assert rank("a/boot.img", names) == [
        "a/Boot.IMG",
        "b/boot.img",
        "c/c/boot.img",
        "b/Boot.img",
        "a/boo.img",
        "a/boot.imh",
    ]


def test_the_name_itself_is_no_near_miss():
    assert rank("boot.img", ["boot.img"]) == []


async def test_missing_file(root: Path):
    files = Directory(root)
    assert await nearest(files, ("BOOT.IMG",)) == ("boot.img", "pxe/boot.img")
    assert await nearest(files, ("none", "deep", "boot.img")) == ("pxe/boot.img", "boot.img")
    assert await nearest(files, ("pxe", "Boot.img")) == ("pxe/boot.img", "boot.img")
    assert await nearest(files, ("nothing like it",)) == ()


async def test_at_most_three(root: Path):
    for number in range(10):
        (root / f"kernel-{number}.bin").touch()
    assert len(await nearest(Directory(root), ("kernel-x.bin",))) == MAX_NEAR


async def test_only_what_is_served_is_named(root: Path):
    os.mkfifo(root / "Secret")
    (root / "SECRET").symlink_to("../secret")
    (root / "seCret").symlink_to("none")
    (root / "out").symlink_to("..")
    (root / "secret2").mkdir()
    (root / f"{UNFINISHED}secret").touch()
    assert await nearest(Directory(root), ("secret",)) == ()
    assert await nearest(Directory(root), ("out", "secret")) == ()
    assert await nearest(Directory(root), (f"{UNFINISHED}secre",)) == ()
    (root / "SecreT").symlink_to("boot.img")
    assert await nearest(Directory(root), ("secret",)) == ("SecreT",)


async def test_names_that_are_no_text_are_left_out(root: Path):
    (root / os.fsdecode(b"boot.im\xff")).touch()
    (root / "boot.im\n").touch()
    assert await nearest(Directory(root), ("boot.imx",)) == ("boot.img", "pxe/boot.img")


async def test_directory_that_was_asked_comes_before_a_large_tree(root: Path):
    (root / "aaa").mkdir()
    for number in range(MAX_ENTRIES + 100):
        (root / "aaa" / f"{number:04}").touch()
    (root / "Zzz" / "deep").mkdir(parents=True)
    (root / "Zzz" / "deep" / "Image").touch()
    assert await nearest(Directory(root), ("Zzz", "deep", "image")) == ("Zzz/deep/Image",)


async def test_work_is_bounded(root: Path):
    # The largest tree that is looked at, full of long names that are almost alike.
    name = "01-88-99-aa-bb-cc-dd-" * 9
    for number in range(MAX_ENTRIES * 2):
        (root / f"{name}{number:04}").touch()
    deep = root.joinpath(*["down"] * (MAX_DEPTH + 5))
    deep.mkdir(parents=True)
    (deep / "boot.imx").touch()
    began = time.process_time()
    assert len(await nearest(Directory(root), (f"{name}abcd",))) == MAX_NEAR
    assert time.process_time() - began < 2.0
    assert await nearest(Directory(root), ("boot.imx",) * 10_000) == ()


async def test_root_that_is_missing(tmp_path: Path):
    assert await nearest(Directory(tmp_path / "none"), ("boot.img",)) == ()


async def test_store():
    memory = AsyncOperator("memory")
    for name in ("pxelinux.cfg/Default", "boot.img", "a/b/boot.img", f"{UNFINISHED}boot.img"):
        await keep(memory, name, b"x")
    files = Store(memory)
    assert await nearest(files, ("pxelinux.cfg", "default")) == ("pxelinux.cfg/Default",)
    assert await nearest(files, ("Boot.img",)) == ("boot.img", "a/b/boot.img")
    assert await nearest(files, ("\udcff",)) == ()


async def test_store_that_cannot_list():
    files = Store(AsyncOperator("http", endpoint="http://127.0.0.1:9"))
    assert await nearest(files, ("boot.img",)) == ()
