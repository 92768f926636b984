"""How much memory a process took."""

import resource
from pathlib import Path


def peak_rss_mib() -> float:
    """The most that this process had resident.

    Where there is no /proc, what getrusage says, which on some systems begins with the memory of the parent.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(peak.split()[1]) / 1024, 1)
