"""Products, categories, stock and reservations."""
