"""Fixtures that damage copies of the shipped model."""

from model_bundles import bundle_dir, edit_card

__all__ = ["bundle_dir", "edit_card"]
