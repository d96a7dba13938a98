"""Ratings that are missing not at random: people rate what they like, and the average of what is rated misleads.

**Phenomenon.** A recommender is trained and judged on ratings that people chose to give. Weights 1 / propensity would
mend it, but a propensity fitted by cross-entropy need not balance anything: weighted averages of simple functions of
user and item still differ from their averages over all pairs (`balance_gap`).

**Remedy** (Li et al., ICLR 2024): choose weights that balance kernel functions directly, starting from a base weight.

Exact: the authors' alternating scheme with Gaussian and exponential kernels, its odd feature scaling and its propensity
by naive Bayes (`alternating`, golden vectors of their code). Changed, and the default: each kernel function is balanced
on its own (theirs lets opposite deviations cancel in a sum), by the dual of entropy balancing, which is convex, takes a
fraction of a second and says how far from balance it ended. The choices ``worst`` and ``adaptive`` of basis points
follow theirs in one shot, without the inner gradient steps.

The films and ratings are real (MovieLens-100k); who likes what is completed by a model and who rates what is drawn, so
that the truth is known: the field's usual semi-synthetic protocol.
"""
