"""What the family's experiments share: long-tailed class profiles, losses for classes of unequal size."""
