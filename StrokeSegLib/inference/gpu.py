"""Whether asking torch for a GPU is worth the seconds that importing it takes."""

from __future__ import annotations

import ctypes.util
import sys
from pathlib import Path

#: What drivers leave on Linux: NVIDIA, its Jetson boards, AMD, and GPUs of Windows seen from its Linux subsystem.
LINUX_DEVICES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvmap", "/dev/kfd", "/dev/dxg")


def may_have_gpu() -> bool:
    """False only where there is surely no GPU that torch could use; torch itself has the last word."""
    if sys.platform.startswith("linux"):
        return any(Path(device).exists() for device in LINUX_DEVICES)
    if sys.platform == "win32":
        return ctypes.util.find_library("nvcuda") is not None
    return True  # a Mac, or a system not known here
