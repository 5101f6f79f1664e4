"""ferd with its libraries loaded, waiting for a file before it starts: so a restart is quick on any machine."""

import sys
import time
from pathlib import Path

import ferd.app
import ferd.cli.run  # noqa: F401
from ferd.cli.main import main

go = Path(sys.argv.pop(1))
Path(f"{go}.waiting").touch()
while not go.exists():
    time.sleep(0.01)
sys.exit(main())
