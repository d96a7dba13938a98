"""A scale adapter for mixtures of experts (AdaMoE, arXiv 2510.14300): one router selects, another one weighs.

Phenomenon: where one router both selects experts and weighs them, a loss that balances the selection moves the weights,
too. Remedy: an adapter adds to each chosen expert's probability a weight of its own, x W_s, without bound.

Exact: the layers with adapter and with concatenated selection (CSMoE) equal the authors' outputs, gated tanh-GELU
experts included; so do their balancing loss, K/N² times ours, and z-loss (golden vectors, 1e-7, partly float32 there).
Changed: alpha multiplies the family's balancing loss, whose balanced value is 1; only chosen experts are computed. The
plain mixture takes the probabilities of the chosen experts, as their text says; the released code gathers out of range
there and gives NaN under a current JAX. Weights are not made to add up to 1 (as released), so that copies of a dense
network begin at K/N of its output; `renormalise_init` multiplies the copies' output matrices by N/K. Ours: a byte-level
model that trains dense first, in place of a robot's policy. Its longer warm-up for the router is left out. The paper's
text was known from its repository.
"""
