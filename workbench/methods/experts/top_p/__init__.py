"""Top-P routing with null and shared experts, and a curriculum in three stages (UniMoE-Audio, arXiv 2510.13344).

Phenomenon: trained together on domains of unequal size, a mixture serves a small one worse than a network of its own
would, for it hardly ever sees it; and a fixed number of experts is too much for easy bytes and too little for hard
ones. Remedy: train a specialist a domain, make experts of them, train gate and shared experts alone for a while, then
everything on balanced text; and let each byte take as many experts as it needs to gather `top_p` of the router's mass,
null experts among them.

Exact: numbers of experts, choices, weights and the balancing loss equal the authors' in evaluation (golden vectors,
1e-10; the loss 1e-6). In training choices are drawn and gradients estimated as in their code (SparseMixer), which no
recording checks. With a jitter of .01 the candidates of a round are nearly always one, so that a byte's routed experts
weigh 1/k each: the router's sizes count for the number and for the share of the shared experts. Reconstructed: what the
first weights are outside the experts (here the mean of the specialists, which start from one base network), and the
balanced texts (here equally many sequences a domain; for the gate from as many bytes of each as the smallest has).
Left out: jitter on the input, dropping of tokens. Ours: a byte-level model, text in place of speech and music.

Seen at the tour's size, texts of 50 : 1, 800 steps (160 of them make a specialist), three seeds: joint training ends
.10 to .12 nats a byte above the specialist on the smallest domain, the curriculum .000 to .004 below it. It is rarity
that hurts, not conflict: the other domains gain .28 to .54 from joint training and .12 to .20 from the curriculum;
equally many sequences a domain, jointly, mend the smallest, too (.05 below), and top-P alone does not (.10 above; one
seed each). Over all domains joint training gains more in as many steps, .24 to .33 against .10 to .14. At 12 : 1 the
smallest domain loses .06 (one seed). Mean numbers of experts differ little between domains, by .12 to .33, with most
for tables.
"""
