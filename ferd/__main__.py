"""The entry point of `ferd` and `python -m ferd`.

Ctrl-C while the libraries are imported (seconds on a small board) ends the process without a traceback: until then
the signal keeps the system's own handler.
"""

import logging
import os
import signal
import sys
from contextlib import suppress


def main() -> int:
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ferd.cli.main import main as command

    signal.signal(signal.SIGINT, before)
    code = command()
    leave_if_hung(code)
    return code


def leave_if_hung(code: int) -> None:
    """End the process at once when a camera's library has not returned from a call.

    The interpreter must not be torn down beside such a call: see `ferd.sources.capture.any_hung`.
    """
    capture = sys.modules.get("ferd.sources.capture")
    if capture is None or not capture.any_hung():
        return
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):  # a pipe that was closed
                stream.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
