"""Phase handlers, one a file: they decide what happens next and act on nothing."""
