"""Designs and the work of builders, held against them. Pure."""
