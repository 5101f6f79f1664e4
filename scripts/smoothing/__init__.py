"""Measure the smoothing on video and on scenes made from portraits: run on a desk machine, never on the Pi."""
