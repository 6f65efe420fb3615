"""How much memory processes really take: PSS, which shares out what they share."""

from __future__ import annotations

from pathlib import Path

import psutil


def pss_bytes(pid: int) -> int:
    """Proportional set size of one process; its resident size where the kernel has no PSS."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        return 0
    except ProcessLookupError:
        return 0
    except OSError:
        return _resident_bytes(pid)


def _resident_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def family_bytes(pid: int) -> int:
    """PSS of a process and of all its descendants."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return 0
    return pss_bytes(pid) + sum(pss_bytes(child.pid) for child in children)
