"""Auxiliary-loss-free load balancing (arXiv 2512.03915 on Wang et al. 2024): a bias that selects and never weighs.

Phenomenon: without balancing experts die; a balancing loss keeps them alive, and its gradient pulls at the router
beside the one of the task. Remedy: a bias added to each expert's score for selection alone, moved once a step against
the expert's load. Seen as a primal-dual method for the assignment problem, the bias is its price.

Exact: selection, loads, biases and the Lagrangian equal Megatron-LM's sign update and the paper's formula for u/n and
u/√n (golden vectors). Changed: rules in proportion to the load take it as a share of the tokens, so that u means the
same at any batch size. Ours: a byte-level model of 465,000 parameters; fixed scores are sigmoids of normal numbers with
an offset an expert; regret is measured on fresh scores of the same law, against the best fixed bias. The paper's text
was known from its abstract and a review of its formulas.
"""
