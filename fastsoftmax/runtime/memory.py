"""How much memory this process can still get."""

import os
from pathlib import Path


def available():
    """Bytes that can still be allocated without swapping: the least that the machine, the container or the process's own
    limit leaves. None if none of them tells."""
    return min([*_machine(), *_container(), *_process_limit()], default=None)


def shown(n_bytes):
    """A number of bytes for a message: MiB, or from one GiB on GiB, in which messages say how much there is."""
    return f"{n_bytes / 2**20:,.1f} MiB" if n_bytes < 2**30 else f"{n_bytes / 2**30:.2f} GiB"


def _machine():
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return [int(fields["MemAvailable"].split()[0]) * 1024]
    except (OSError, KeyError):
        pass  # not Linux: the whole memory is a bound
    try:
        return [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, ValueError, OSError):
        return []


def _container():
    """What a cgroup's limit leaves (version 2, then 1). Cached files count as used there, but they give way."""
    for folder, limit, usage, cache in (
        ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            left = int(Path(folder, limit).read_text()) - int(Path(folder, usage).read_text())
            statistics = dict(line.split() for line in Path(folder, "memory.stat").read_text().splitlines())
            return [max(0, left + int(statistics.get(cache, 0)))]
        except (OSError, ValueError):  # there is no such cgroup, or its limit is "max": none
            continue
    return []


def _process_limit():
    """What RLIMIT_AS leaves of the address space."""
    try:
        import resource
    except ImportError:  # Windows
        return []
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return []
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        used = 0
    return [max(0, limit - used)]
