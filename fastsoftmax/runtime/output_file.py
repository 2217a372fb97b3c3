"""Files that are written whole or not at all where the system allows that, and that are left as ``open(path, "wb")`` would."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
import weakref
import zlib

MAX_LINKS = 40  # that one path may lead through, as on Linux
LONG_NAME = 160  # bytes; names of temporary files are longer than those of the files, and 255 bytes are the limit
CANNOT_RENAME = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EXDEV)  # such as onto a mount point
CANNOT_CREATE = (errno.EACCES, errno.EPERM, errno.EROFS)
CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.EINVAL)  # of file systems that set no space aside
_BINARY = getattr(os, "O_BINARY", 0)  # of Windows

_mapped = weakref.WeakKeyDictionary()  # the files that this process has mapped: device and number, by the map


class OutputFile:
    """The file that ``open(path, "wb")`` would write, and a way to write it that loses nothing where that is possible.

    Links are followed. The bytes go to a temporary file beside the real one, which is synced and then renamed: whatever ends
    the process, either the old file or the new one is there. Owner, mode and attributes of an old file are kept.

    Where a rename would leave another thing than `open` does, the bytes are copied into the old file as soon as all of them
    are on the disk: a file with several names (hard links), one whose owner this process cannot give to another file, and a
    mount point. A crash during this copy leaves a mixed file, and the whole new one beside it. Pipes, devices and files in
    folders where none can be created are written directly: there, what ends the write early leaves a part of the new file.

    Parameters
    ----------
    path : str or path-like
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        self.target, is_open_already = _followed(self.path)
        self.before = _stat(self.target)  # None where there is no file yet
        self.is_direct = self.before is not None and (is_open_already or not stat.S_ISREG(self.before.st_mode))

    def temporary(self, suffix=None):
        """The path of the file that becomes this one; `suffix` makes it the same each time, otherwise it is a new one."""
        folder, name = os.path.split(self.target)
        if len(os.fsencode(name)) > LONG_NAME:
            name = f"{name[:20]}-{zlib.crc32(os.fsencode(name)):08x}"
        return os.path.join(folder, f".{name}.{suffix or secrets.token_hex(4)}")

    def probe(self):
        """Do what `open` will do, but for the bytes. It raises an OSError where the file could not be written."""
        if self.before is not None and stat.S_ISDIR(self.before.st_mode):
            raise _error(errno.EISDIR, self.path)
        if self.is_direct:
            if not os.access(self.target, os.W_OK):
                raise _error(errno.EACCES, self.path)
            return
        temporary = self.temporary()
        handle = self._create(temporary)
        if handle is not None:
            os.close(handle)
            os.unlink(temporary)

    @contextlib.contextmanager
    def open(self, suffix=None):
        """A new binary file, whose bytes are at the path when the block ends.

        If the block raises, all is as it was before, but for what is written directly (see OutputFile).

        suffix : of the temporary file; as for `temporary`
        """
        try:
            temporary = self.temporary(suffix)
            if suffix is not None and not self.is_direct:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)  # of a process that was killed
            handle = None if self.is_direct else self._create(temporary)
            if handle is None:
                with open(self.target, "wb") as file:
                    yield file
                return
            try:
                with open(handle, "wb") as file:
                    yield file
                    file.flush()
                    os.fsync(handle)
                    can_rename = self._adopt(handle)
                renamed = can_rename and _renamed(temporary, self.target)
                if not renamed:
                    self._check_not_mapped()
                    _reserve(self.target, os.path.getsize(temporary))
            except BaseException:
                with contextlib.suppress(FileNotFoundError):  # Ctrl-C may come just after the rename
                    os.unlink(temporary)
                raise
            if not renamed:
                self._copy(temporary)
            _sync_folder(os.path.dirname(self.target))
        except OSError as error:
            if error.errno is None or error.filename is not None:
                raise
            raise OSError(error.errno, error.strerror, self.path) from error

    def _create(self, temporary):
        """An open file at the path `temporary`; None where there can be none, but the file itself can be written."""
        if self.before is not None:
            os.close(os.open(self.target, os.O_WRONLY | _BINARY))  # it may be read-only
        mode = 0o666 if self.before is None else 0o600  # before the umask; an old file's mode comes in the end
        try:
            return os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | _BINARY, mode)
        except OSError as error:
            if self.before is None or error.errno not in CANNOT_CREATE:
                raise _error(error.errno, self.path) from None
        self._check_not_mapped()
        return None

    def _adopt(self, handle):
        """Give owner, attributes and mode of the old file to the new one; whether it can take the old one's place."""
        old, new = self.before, os.fstat(handle)
        if old is None:
            return True
        if old.st_nlink > 1:
            return False
        try:
            if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
                os.fchown(handle, old.st_uid, old.st_gid)
            for name in _attributes(self.target):
                os.setxattr(handle, name, os.getxattr(self.target, name))
            if stat.S_IMODE(os.fstat(handle).st_mode) != stat.S_IMODE(old.st_mode):
                os.fchmod(handle, stat.S_IMODE(old.st_mode))
        except OSError:
            return False
        return True

    def _copy(self, temporary):
        """Copy the complete file `temporary` into the old one; where that fails, the complete file stays."""
        try:
            with open(temporary, "rb") as source, open(self.target, "r+b") as file:
                shutil.copyfileobj(source, file, 1 << 20)
                file.truncate()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; what was to be written is {temporary}", self.path) from error
        os.unlink(temporary)

    def _check_not_mapped(self):
        """Raise where this process reads from the very file that would be written in place."""
        if (self.before.st_dev, self.before.st_ino) in _mapped.values():
            raise OSError(errno.ETXTBSY, "a model in this process reads its weights from the file", self.path)


def note_mapped(buffer, handle):
    """Take note that `buffer` maps the open file `handle`, which therefore must not be written in place."""
    status = os.fstat(handle)
    _mapped[buffer] = status.st_dev, status.st_ino


def _followed(path):
    """Where the links of `path` lead to, and whether that is an open file of a process, such as /dev/stdout.

    Unlike os.path.realpath, it leaves "missing/.." to the system, which finds nothing there.
    """
    for _ in range(MAX_LINKS):
        if os.path.realpath(os.path.dirname(path)).startswith("/proc/"):
            return path, True
        try:
            link = os.readlink(path)
        except OSError:  # it is no link, or there is nothing
            return path, False
        path = os.path.join(os.path.dirname(path), link)
    raise _error(errno.ELOOP, path)


def _stat(path):
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _error(number, path):
    return OSError(number, os.strerror(number), path)


def _attributes(path):
    """The names of a file's extended attributes, of which access lists are some."""
    try:
        return os.listxattr(path) if hasattr(os, "listxattr") else []
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise


def _renamed(path, target):
    """Rename the file, and return True; False where it cannot take the place of the one at `target`."""
    try:
        os.replace(path, target)
    except OSError as error:
        if error.errno in CANNOT_RENAME and os.path.exists(target):
            return False
        raise
    return True


def _reserve(path, n_bytes):
    """Have the disk set the space for these many bytes of the file aside, so that a full disk is found before it changes."""
    more = n_bytes - os.path.getsize(path)
    if more > 0 and hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), n_bytes - more, more)
            except OSError as error:
                if error.errno not in CANNOT_RESERVE:
                    raise


def _sync_folder(folder):
    """Sync the folder, so that the new name survives a crash of the machine. Some systems cannot open folders."""
    with contextlib.suppress(OSError):
        handle = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
