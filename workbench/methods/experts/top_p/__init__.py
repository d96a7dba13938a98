"""Top-P routing with null and shared experts, and a curriculum in three stages (UniMoE-Audio, arXiv 2510.13344).

Phenomenon: trained together on domains of unequal size, a mixture serves the small ones worse than a network of their
own; and a fixed number of experts is too much for easy bytes and too little for hard ones. Remedy: train a specialist a
domain, make experts of them, train gate and shared experts alone for a while, then everything on balanced text; and let
each byte take as many experts as it needs to gather `top_p` of the router's mass, null experts among them.

Exact: numbers of experts, choices, weights and the balancing loss equal the authors' in evaluation (golden vectors,
1e-10; the loss 1e-6). In training choices are drawn and gradients estimated as in their code (SparseMixer), which no
recording checks. With a jitter of .01 the candidates of a round are nearly always one, so that a byte's routed experts
weigh 1/k each: the router's sizes count for the number and for the share of the shared experts. Reconstructed: what the
first weights are outside the experts (here the mean of the specialists, which start from one base network), and the
balanced texts (here equally many sequences a domain; for the gate from as many bytes of each as the smallest has).
Left out: jitter on the input, dropping of tokens. Ours: a byte-level model, text in place of speech and music. Seen at
the tour's size (seed 0): joint training ends no worse than the specialists in any domain, so the phenomenon does not
show there. Against joint training the curriculum gained on the smallest domain (.45 against .17 nats a byte over the
specialist) and lost on the mean (.24 against .34); that was with domains cut to their beginnings, not yet repeated.
"""
