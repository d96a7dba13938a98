"""Global-batch load balancing (Qiu et al. 2025, "Demons in the Detail"): balance the batch, not every sequence.

Phenomenon: a balancing loss taken inside a micro-batch of few sequences forces every sequence to use all experts
evenly; code is spread as uniformly as prose, and no expert specialises. Remedy: take loads and probabilities over the
global batch; in data parallel training only the counts are summed over processes.

Exact: the loss of a group, of the batch, of the running counts of gradient accumulation and their gradients equal
Megatron-LM's (golden vectors, 1e-12 in float64). The paper's full text was not at hand: that a random subset of the
batch as small as a micro-batch behaves like the whole (`lbl_tokens` shuffled) is a reconstruction of its ablation.
Ours: a byte-level model of 465,000 parameters on four domains of text, groups of 1 to 32 sequences, its own layout.
"""
