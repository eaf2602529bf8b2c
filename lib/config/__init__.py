"""The configuration: its model, the places that settings come from, and changes by hand."""
