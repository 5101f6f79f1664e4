"""Errors that a user can act on: each message says what is wrong and what to do."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_RESTART = 75  # EX_TEMPFAIL of sysexits.h; systemd starts ferd anew (Restart=on-failure), as was asked for
EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h; the systemd unit does not restart on it


class FerdError(Exception):
    """Base of everything that ferd raises on purpose. Caught by the command line, told without a traceback."""

    exit_code = EXIT_FAILED


class ConfigError(FerdError):
    """The configuration (or a file it names) is wrong; starting again would not help."""

    exit_code = EXIT_CONFIG


class ModelError(ConfigError):
    """A model file is missing, broken or does not fit its labels."""


class SourceError(FerdError):
    """A picture source cannot be opened, or stopped delivering."""


class SourceEnded(SourceError):  # noqa: N818  # it is an end, and only an error for a live camera
    """A file or folder was read to its end."""


class BuzzerError(FerdError):
    """The pins of the buzzer, a lamp or the button cannot be used."""
