"""Exit statuses of the worker that tell why there is no result."""

GIVEN_UP, NO_MEMORY = 3, 4
