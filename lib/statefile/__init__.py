"""state.json: read strictly, rendered within its bound, and edits of it judged."""
