"""Pictures of a plan: text, Mermaid, SVG, and JSON. Pure."""
