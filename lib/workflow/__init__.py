"""Declarative workflows: the language, read, checked and compiled into a plan. Nothing here runs anything."""
