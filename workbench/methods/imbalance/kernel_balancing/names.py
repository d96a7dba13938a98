"""Choices that the card offers, without what they need."""

KERNELS = ("gaussian", "laplace")
BASES = ("none", "naive_bayes", "logistic", "true")
BALANCES = ("none", "dual", "alternating")
CHOICES = ("random", "worst", "adaptive")
PREDICTORS = ("ones", "constant", "rotated", "skewed", "learned", "inverted")
