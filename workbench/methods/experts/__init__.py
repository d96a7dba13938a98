"""Mixtures of experts: which expert does what, which die, and what each rule of balancing does to both."""
