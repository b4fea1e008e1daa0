"""What the words of a failed process mean for the user: known failures of computers, each with what to do about it.

An error of Python, of a driver or of the system says little to who has to act on it. Its words stay behind the button
for details.
"""

from __future__ import annotations

from slicer.i18n import tr as _

from StrokeSegApp.panel_words import inPanelWords


def explained(message: str, said: str = "", exitCode: int | None = None) -> str:
    """A message with the cause and the cure where the failure is a known one, else as it is.

    Args:
        message: One line.
        said: What the process said besides, such as a traceback.
        exitCode: Of a process that died.
    """
    cure = cureOf(f"{message}\n{said}", exitCode)
    message = inPanelWords(message)
    return f"{message.rstrip('.')}. {cure[0].upper()}{cure[1:]}." if cure else message


def cureOf(said: str, exitCode: int | None = None) -> str:
    """What to do about a failure, by its words and the exit code; empty where it is not a known one."""
    return _cureOfExit(exitCode) or _cureOfWords(said.lower())


def _cureOfExit(code: int | None) -> str:
    """By the signals of Linux and macOS (negative, or above 128 through a shell) and the status codes of Windows.

    Behind PythonSlicer's launcher none of these arrives: it returns 1 and says "exit abnormally", see ``_cureOfWords``.
    """
    if code is None:
        return ""
    known = code + (1 << 32) if code < -(1 << 16) else code  # Windows gives its codes with or without a sign
    if known in (-9, 137):
        return _ended()
    if known in (-11, 139, 0xC0000005):
        return _crashed()
    if known in (-4, 132, 0xC000001D):
        return _oldProcessor()
    if known == 0xC0000135:
        return _("a part of Windows is missing: install 'Microsoft Visual C++ Redistributable' and restart")
    return ""


def _ended() -> str:
    return _("the system ended it, mostly for lack of memory: close other programs and try again")


def _crashed() -> str:
    return _("a library crashed: try again, and if it stays so, choose CPU as the device")


def _oldProcessor() -> str:
    return _("this processor lacks instructions that a package needs: use a newer computer")


def _cureOfWords(said: str) -> str:
    cpu = _("choose CPU as the device")
    again = _("install PyTorch again with the extension PyTorch, or choose CPU as the device")
    cures = (
        (("no kernel image",), _("this PyTorch was built for other graphics cards: {cure}").format(cure=again)),
        (
            ("driver version is insufficient", "nvidia driver on your system is too old"),
            _("the graphics driver is older than PyTorch needs: update it, or choose CPU as the device"),
        ),
        (("cudnn", "cublas"), _("the libraries of the graphics card do not fit each other: {cure}").format(cure=again)),
        (("not compiled with cuda",), _("this PyTorch can not use the graphics card: {cure}").format(cure=again)),
        (
            ("out of memory", "bad_alloc", "can't allocate memory", "alloc_failed", "not enough memory"),
            _("the memory was not enough: close other programs, or choose CPU as the device"),
        ),
        (("cuda error", "device-side assert"), _("the graphics card failed: {cure}").format(cure=cpu)),
        (("mps device", "mps backend"), _("the Apple GPU can not do this yet: {cure}").format(cure=cpu)),
        (
            ("winerror 1455", "paging file is too small"),
            _("Windows has no memory left: close other programs, or enlarge its paging file"),
        ),
        (
            ("dll load failed", "winerror 126", "winerror 1114"),
            _("a part of Windows is missing: install 'Microsoft Visual C++ Redistributable' and restart"),
        ),
        (
            ("cannot open shared object file",),
            _("a library of the system is missing: the details name it, install it with the system's packages"),
        ),
        (
            ("numpy.core.multiarray failed", "numpy.dtype size changed", "_array_api not found"),
            _("packages do not fit each other: the details name them; install those again, or a fresh Slicer"),
        ),
        (
            ("no module named", "cannot import name"),
            _("a package is missing or damaged: 'Check this computer' under Help says which and what to do"),
        ),
        (
            ("winerror 206", "name or extension is too long", "file name too long"),
            _("a path is too long: use folders with short names, or allow long paths in Windows"),
        ),
        (("no space left", "errno 28", "winerror 112"), _("the disk is full: free some space on it and try again")),
        (
            ("winerror 32", "being used by another process"),
            _("another program holds a file: close it, or let the virus scanner pass Slicer, and try again"),
        ),
        (
            ("permission denied", "permissionerror", "winerror 5]", "read-only file system"),
            _("a folder can not be written to: 'Check this computer' under Help says which"),
        ),
        (
            ("unicodeencodeerror", "unicodedecodeerror"),
            _("a file name can not be read in this system's encoding: use English letters, or UTF-8 as its encoding"),
        ),
        (("too many open files", "errno 24"), _("the system allows no more open files: restart Slicer")),
        # Python's own words at a crash (PYTHONFAULTHANDLER), then those of Slicer's launcher where nobody could speak.
        (("fatal python error: illegal instruction",), _oldProcessor()),
        (
            ("fatal python error: segmentation fault", "windows fatal exception: access violation"),
            _crashed(),
        ),
        (("exit abnormally",), _ended()),
    )
    return next((cure for words, cure in cures if any(word in said for word in words)), "")
