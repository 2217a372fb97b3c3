"""The files of checkpoints: one of a process alone, or one of each of the ranks that train together.

Ranks keep two generations for a moment. Each writes the new one to a file of its own; once all have, each puts it in the place
of the old one. So whenever they are killed, there is a generation that all of them have, and all resume from the newest such.
"""

import os
import re
import secrets
from pathlib import Path

import numpy as np

from fastsoftmax.files import tensor_file
from fastsoftmax.runtime.output_file import OutputFile
from fastsoftmax.validation import check_generation, check_same_ranks, check_unchanged

FORMAT = "fastsoftmax.checkpoint"
FORMAT_VERSION = 2
SUFFIX = "part"  # of the temporary file: killed processes leave one at most


class FileOfOne:
    """The file of a process that trains alone.

    Attributes
    ----------
    path : Path
    seen : what tells the file from one that somebody else has written since; None where there is none
    """

    def __init__(self, path):
        self.path = Path(path)

    def read(self):
        """The header and the memory-mapped tensors of the checkpoint that there is, or None."""
        self.seen = _file_id(self.path)
        if self.seen is None:
            check_same_ranks(self.path, _numbers_of_ranks(self.path), 1)
            return None
        return _read(self.path)

    def is_due(self, due):
        """Whether to write a checkpoint after this step, which is `due` by the clock of this process."""
        return due

    def write(self, tensors, header, _):
        """Replace the checkpoint."""
        check_unchanged("checkpoint", self.path, self.seen, _file_id(self.path))
        tensor_file.write(self.path, tensors, header, suffix=SUFFIX)
        self.seen = _file_id(self.path)

    def remove(self):
        """Remove the file, unless somebody else has written it in the meantime."""
        file = OutputFile(self.path)
        if _file_id(self.path) == self.seen:
            Path(file.target).unlink(missing_ok=True)
        Path(file.temporary(SUFFIX)).unlink(missing_ok=True)


class FileOfRank(FileOfOne):
    """The file of one of several ranks. All of them call the same methods, and a failure of one is one of all.

    Attributes
    ----------
    common : the path that the user named, to which the file's name adds which rank of how many it is of
    new : Path of the next generation, until all ranks have it
    """

    def __init__(self, path, ranks):
        self.common, self.ranks = Path(path), ranks
        super().__init__(f"{path}.{ranks.rank + 1:05d}-of-{ranks.size:05d}")
        self.new = self.path.with_name(f"{self.path.name}.new")

    def read(self):
        """The newest generation that all ranks have. One that has not become complete before another was is none."""
        ranks, found = self.ranks, {}
        with ranks.together():
            others = _numbers_of_ranks(self.common) - {ranks.size} | ({1} if self.common.exists() else set())
            check_same_ranks(self.common, others, ranks.size)
            for path in (self.new, self.path):
                if path.exists():
                    header, tensors = _read(path)
                    mine = header.get("ranks", {"rank": 0, "size": 1})
                    if (mine["rank"], mine["size"]) != (ranks.rank, ranks.size):
                        raise ValueError(f"{path}: the checkpoint of rank {mine['rank']} of {mine['size']}")
                    found[mine["generation"]] = path, header, tensors
        of_ranks = ranks.objects({generation: header["ranks"]["step"] for generation, (_, header, _) in found.items()})
        on_all = set.intersection(*(set(steps) for steps in of_ranks))
        was_complete = any(ranks.objects(self.path.exists()))
        self.seen = _file_id(self.path)
        if not on_all:
            check_generation(self.common, was_complete, [rank for rank, steps in enumerate(of_ranks) if not steps])
            return None
        path, header, tensors = found[max(on_all, key=of_ranks[0].get)]
        with ranks.together():
            if path == self.new:
                os.replace(self.new, self.path)
            self.seen = _file_id(self.path)
        return header, tensors

    def is_due(self, due):
        """Whether it is due by the clock of rank 0, which names the generation."""
        named = secrets.randbits(62) + 1 if due else 0
        self.generation = int(self.ranks.gather(np.array([named]))[0, 0])
        return self.generation > 0

    def write(self, tensors, header, step):
        """Replace the checkpoint; `step` : numbers that grow with the training."""
        ranks = self.ranks
        mine = {"rank": ranks.rank, "size": ranks.size, "generation": str(self.generation), "step": step}
        with ranks.together():
            check_unchanged("checkpoint", self.path, self.seen, _file_id(self.path))
            tensor_file.write(self.new, tensors, header | {"ranks": mine}, suffix=SUFFIX)
        with ranks.together():
            os.replace(self.new, self.path)
            self.seen = _file_id(self.path)

    def remove(self):
        """Remove the files of all ranks. Before the first is gone, none counts as one of a complete generation."""
        with self.ranks.together():
            if self.seen is not None and _file_id(self.path) == self.seen:
                os.replace(self.path, self.new)
        with self.ranks.together():
            self.new.unlink(missing_ok=True)
            Path(OutputFile(self.new).temporary(SUFFIX)).unlink(missing_ok=True)


def files_of(path, ranks):
    """The file of this rank for the checkpoint that the user named."""
    return FileOfOne(path) if ranks.size == 1 else FileOfRank(path, ranks)


def _numbers_of_ranks(path):
    """How many ranks have written the files beside `path` that are named after it, a set."""
    pattern = re.compile(re.escape(path.name) + r"\.\d{5}-of-(\d{5})(\.new)?")
    names = os.listdir(path.parent) if path.parent.is_dir() else ()
    return {int(match[1]) for name in names if (match := pattern.fullmatch(name))}


def _file_id(path):
    """Numbers that change whenever somebody writes the file; None where there is no file."""
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _read(path):
    """The header and the memory-mapped tensors of a checkpoint, whose checksums are verified."""
    header, tensors = tensor_file.read(path, FORMAT, (FORMAT_VERSION,), memory_map=True)
    if tensor_file.checksums(tensors) != header.get("crc32"):
        raise ValueError(f"{path}: a damaged checkpoint (a checksum is wrong)")
    return header, tensors
