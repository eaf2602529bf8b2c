"""Playbooks of the scripted assistant: read, matched and played."""
