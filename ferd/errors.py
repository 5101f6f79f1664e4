"""Errors that a user can act on: each message says what is wrong and what to do."""

import errno
from collections.abc import Mapping

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_RESTART = 75  # EX_TEMPFAIL of sysexits.h; makes systemd restart ferd (Restart=on-failure)
EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h; the systemd unit does not restart on it


EXHAUSTED: Mapping[int, str] = {
    errno.ENOSPC: "the disk is full: free some space (df -h shows where) and try again",
    errno.EDQUOT: "this user's share of the disk is used up: free some space and try again",
    errno.EROFS: "the disk is read-only: `dmesg` says why",
    errno.EIO: "the disk does not work: `dmesg` says more; copy what you need from it",
    errno.EMFILE: "too many files are open in this process: restart it",
    errno.ENFILE: "too many files are open on this machine: restart it",
    errno.ENOMEM: "there is not enough memory: end other programs and try again",
}
"""Errors that are the machine's and not the configuration's, with the remedy. A restart may help."""


class FerdError(Exception):
    """Base of every exception that ferd raises on purpose. The command line prints it without a traceback."""

    exit_code = EXIT_FAILED


class ConfigError(FerdError):
    """The configuration (or a file it names) is wrong; a restart would not help."""

    exit_code = EXIT_CONFIG


class ModelError(ConfigError):
    """A model file is missing, broken or does not match its labels."""


class SourceError(FerdError):
    """A source cannot be opened, or no longer delivers frames."""


class PictureError(FerdError):
    """A picture cannot be decoded, or is larger than allowed."""


class SourceEnded(SourceError):  # noqa: N818  # not an error, except for a live camera
    """A file or folder has no more frames."""


class BuzzerError(FerdError):
    """The pins of the buzzer, an LED or the button cannot be used."""


def exhausted(error: BaseException) -> str | None:
    """Return the remedy when the machine is the cause of an error or of one behind it; None when it is not."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and (remedy := EXHAUSTED.get(cause.errno or 0)):
            return remedy
        cause = cause.__cause__ or cause.__context__
    return None
