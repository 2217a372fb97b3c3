"""Saving a NextItemModel to a file, and loading it."""
