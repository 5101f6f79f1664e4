"""The page: shows in a browser what ferd sees. It runs in a thread of its own and never holds up the daemon."""
