"""Errors that a user can act on: each message says what is wrong and what to do."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_RESTART = 75  # EX_TEMPFAIL of sysexits.h; makes systemd restart ferd (Restart=on-failure)
EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h; the systemd unit does not restart on it


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
