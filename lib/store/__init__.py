"""The run database."""
