"""Secrets replaced by their names wherever text is kept or shown."""
