"""What the family's methods share: pairs of modalities, encoders, late fusion, read-outs, strategies, the loop."""
