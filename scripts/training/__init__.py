"""Training of ferd's models: run on a desk machine, never on the Pi."""
