"""Evidence: the figures of an answer, each tied to the result cells, or the arithmetic on cells, that back it."""
