"""The one error that means: the input or the words were wrong, and here is the cure."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input or a bad request from the user; the command line turns it into one line and exit code 2.

    The message says, in one line, what is wrong, what was got, what was needed, and what to do about it.
    Anything else that is raised is a fault of ours (exit code 1).
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
