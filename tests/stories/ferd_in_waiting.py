"""A ferd that has loaded its libraries and waits for a file before it begins: it is back quickly on any machine."""

import sys
import time
from pathlib import Path

import ferd.cli.run
import ferd.engine  # noqa: F401
from ferd.cli.main import main

go = Path(sys.argv.pop(1))
Path(f"{go}.waiting").touch()
while not go.exists():
    time.sleep(0.01)
sys.exit(main())
