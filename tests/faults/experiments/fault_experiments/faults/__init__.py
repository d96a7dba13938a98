"""A family of experiments made to be killed."""
