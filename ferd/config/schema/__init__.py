"""The configuration schema: one module for each part of the file, joined in root."""
