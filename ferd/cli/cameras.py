"""ferd cameras: what can be opened here."""
HELP = "list the cameras that can be opened here"
MORE = ""
