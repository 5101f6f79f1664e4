"""`ferd` and `python -m ferd`: the way in.

Ctrl-C while the libraries are imported (seconds on a small board) ends the process without a traceback: until then
the signal keeps the system's own handler.
"""

import signal
import sys


def main() -> int:
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ferd.cli.main import main as command

    signal.signal(signal.SIGINT, before)
    return command()


if __name__ == "__main__":
    sys.exit(main())
