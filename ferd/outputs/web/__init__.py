"""The page: see what ferd sees, in a browser. A thread of its own that never holds up the daemon."""
