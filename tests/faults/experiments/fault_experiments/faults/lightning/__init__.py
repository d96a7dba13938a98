"""A tiny network that trains in a Lightning Trainer."""
