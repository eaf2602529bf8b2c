"""Files that ship with Relay: prompts, playbooks, and what `relay init` writes."""
