"""Imbalance: long tails, partial labels, spurious features, ratings that are missing not at random."""
