"""A flash sale: one product, far more shoppers than units, all at the same moment."""
