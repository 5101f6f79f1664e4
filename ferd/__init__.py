"""ferd, the facial expression daemon."""

__version__ = "0.1.0"
