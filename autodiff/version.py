"""The version, stated here only (pyproject.toml reads it), and what it was built without."""

__version__ = "0.1.0"
cuda = None
hip = None
