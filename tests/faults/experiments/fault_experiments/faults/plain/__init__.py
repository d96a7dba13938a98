"""A tiny network that trains in a plain loop."""
