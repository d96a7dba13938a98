"""What the family's methods share: text by domain, balancing rules, measures of a routing, and the training loop."""
