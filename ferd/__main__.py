"""``python -m ferd`` is the ``ferd`` command."""

import sys

from ferd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
