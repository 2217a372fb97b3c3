"""Files are written whole or not at all, and are left as ``open(path, "wb")`` would leave them."""

import errno
import mmap
import os
import stat
import threading
from pathlib import Path

import pytest

from fastsoftmax.runtime import output_file
from fastsoftmax.runtime.output_file import OutputFile


def write(path, content=b"new"):
    with OutputFile(path).open() as file:
        file.write(content)


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old"
    path.write_bytes(b"old content")
    return path


@pytest.fixture
def no_rename(monkeypatch):
    def replace(source, target):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), source)

    monkeypatch.setattr(os, "replace", replace)


LINKS = {
    "relative": ["store/v1"],
    "chain": ["store/second", "v1"],
    "to be": ["store/v2"],
    "chain to be": ["store/second", "v2"],
    "up": ["store/../store/v1"],
}


@pytest.mark.parametrize("links", LINKS.values(), ids=LINKS)
def test_links_are_followed(tmp_path, links):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "v1").write_bytes(b"old")
    if len(links) == 2:
        (tmp_path / links[0]).symlink_to(links[1])
    (tmp_path / "link").symlink_to(links[0])
    OutputFile(tmp_path / "link").probe()
    write(tmp_path / "link")
    assert os.readlink(tmp_path / "link") == links[0]
    assert (tmp_path / "store" / links[-1].rpartition("/")[2]).read_bytes() == b"new"
    assert not any(path.name.startswith(".") for path in tmp_path.rglob("*"))


def test_a_link_to_itself(tmp_path):
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="link") as caught:
        OutputFile(tmp_path / "link")
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_modes(tmp_path, old, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~umask
    for mode in (0o600, 0o640, 0o755, 0o666):
        old.chmod(mode)
        write(old)
        assert stat.S_IMODE(old.stat().st_mode) == mode and old.read_bytes() == b"new"


def test_a_private_file_is_private_while_it_is_written(old):
    old.chmod(0o600)
    with OutputFile(old).open() as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_owners(old):
    os.chown(old, 12345, 23456)
    write(old)
    assert (old.stat().st_uid, old.stat().st_gid) == (12345, 23456) and old.read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes")
def test_extended_attributes(old):
    try:
        os.setxattr(old, "user.colour", b"blue")
    except OSError:
        pytest.skip("the file system has none")
    write(old)
    assert os.getxattr(old, "user.colour") == b"blue"


def test_hard_links(tmp_path, old):
    os.link(old, tmp_path / "other")
    for content in (b"short", b"longer than it was before"):
        write(old, content)
        assert (tmp_path / "other").read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ["old", "other"]


def test_an_owner_that_cannot_be_given(old, monkeypatch):
    def fchown(*_):
        raise PermissionError(errno.EPERM, "not permitted")

    number = old.stat().st_ino
    real = os.fstat
    monkeypatch.setattr(os, "fchown", fchown)
    monkeypatch.setattr(os, "fstat", lambda fd: os.stat_result([*real(fd)[:4], 1234567, *real(fd)[5:]]))
    write(old)
    assert old.read_bytes() == b"new" and old.stat().st_ino == number


def test_a_mount_point_keeps_its_place(tmp_path, old, no_rename):
    number = old.stat().st_ino
    write(old)
    assert old.read_bytes() == b"new" and old.stat().st_ino == number
    with pytest.raises(OSError, match="busy"):  # there is no file to copy into
        write(tmp_path / "new")
    assert os.listdir(tmp_path) == ["old"]


def test_a_failed_copy_leaves_the_new_bytes(tmp_path, old, no_rename, monkeypatch):
    def fails(*_):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(output_file.shutil, "copyfileobj", fails)
    with pytest.raises(OSError, match="what was to be written is") as caught:
        write(old)
    (left,) = (path for path in tmp_path.iterdir() if path != old)
    assert left.read_bytes() == b"new" and str(left) in str(caught.value)


def test_a_full_disk_is_found_before_the_old_file_changes(tmp_path, old, no_rename, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=f"no space left on device.*{old.name}"):
        write(old, b"more than there was before")
    assert old.read_bytes() == b"old content" and os.listdir(tmp_path) == ["old"]


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_sets_no_space_aside(tmp_path, old, no_rename, monkeypatch, number):
    def unsupported(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    write(old, b"more than there was before")
    assert old.read_bytes() == b"more than there was before" and os.listdir(tmp_path) == ["old"]


def test_an_interruption_just_after_the_rename(tmp_path, old, monkeypatch):
    replace = os.replace

    def interrupted(source, target):
        replace(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(old)
    assert old.read_bytes() == b"new" and os.listdir(tmp_path) == ["old"]


def test_a_folder_without_room_for_another_file(old, monkeypatch):
    real = os.open

    def refusing(path, flags, *args):
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "denied", path)
        return real(path, flags, *args)

    monkeypatch.setattr(os, "open", refusing)
    OutputFile(old).probe()
    write(old)
    assert old.read_bytes() == b"new"
    with pytest.raises(PermissionError, match="another"):
        OutputFile(old.with_name("another")).probe()
    with open(old, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
        output_file.note_mapped(buffer, file.fileno())
        with pytest.raises(OSError, match="reads its weights"):
            OutputFile(old).probe()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_changes_nothing(tmp_path, old, error):
    for path in (old, tmp_path / "new"):
        with pytest.raises(error), OutputFile(path).open() as file:
            file.write(b"half")
            raise error
    assert old.read_bytes() == b"old content" and os.listdir(tmp_path) == ["old"]


def test_an_error_of_writing_names_the_file(old):
    with pytest.raises(OSError, match="old") as caught, OutputFile(old).open():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.errno == errno.ENOSPC


def test_pipes_and_devices_are_written_to(tmp_path):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    OutputFile(pipe).probe()
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write(pipe)
    reader.join()
    assert found == [b"new"] and pipe.is_fifo()
    write(os.devnull)
    assert Path(os.devnull).is_char_device()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_device():
    with pytest.raises(OSError, match="/dev/full") as caught:
        write("/dev/full")
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc")
def test_an_open_file_of_this_process(old):
    """As /dev/stdout is: whoever has it open goes on with the same file."""
    with open(old, "r+b") as file:
        write(f"/dev/fd/{file.fileno()}")
        assert os.fstat(file.fileno()).st_ino == old.stat().st_ino
    assert old.read_bytes() == b"new"


def test_long_names(tmp_path):
    path = tmp_path / ("é" * 120 + "x" * 15)  # 255 bytes
    OutputFile(path).probe()
    write(path)
    assert path.read_bytes() == b"new"
    with OutputFile(path).open("part") as file:
        file.write(b"newer")
    assert path.read_bytes() == b"newer" and len(os.listdir(tmp_path)) == 1
    with pytest.raises(OSError, match="xxx"):
        OutputFile(f"{path}x").probe()


def test_paths_that_cannot_be_written(tmp_path, old):
    for path, kind in {
        tmp_path: IsADirectoryError,
        tmp_path / "missing" / "file": FileNotFoundError,
        f"{tmp_path}/missing/../file": FileNotFoundError,
        old / "file": NotADirectoryError,
    }.items():
        with pytest.raises(kind):
            OutputFile(path).probe()
        with pytest.raises(kind):
            Path(path).write_bytes(b"")


def test_a_temporary_file_that_was_left(old):
    output = OutputFile(old)
    Path(output.temporary("part")).write_bytes(b"of a process that was killed")
    with output.open("part") as file:
        file.write(b"new")
    assert old.read_bytes() == b"new" and os.listdir(old.parent) == ["old"]
