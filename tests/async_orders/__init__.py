"""Orders that are taken at once and checked out by workers."""
