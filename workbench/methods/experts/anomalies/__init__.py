"""Anomaly handling of Ling (2025, "Every FLOP Counts"): judge the loss before the update; skip, try again, slow down.

Phenomenon: single batches or a shaken optimizer make the loss spike, for a few steps (narrow) or lastingly (wide); the
updates made meanwhile undo what was learned. Remedy: leave such an update out, try the batch again at a random later
step, and lower the learning rate for that step if it stands out again. Beside it NormHead (the head's columns divided
by their norms) and stochastic routing warm-up (router logits that begin as noise of their own size), a router z-loss
and a balancing loss.

Exact: NormHead's logits, loss and gradient equal the authors' released model, mixed router logits their formula (golden
vectors, 1e-12). Reconstruction: the report gives no threshold, window or delay; the robust z-score over 50 losses, the
pool's delay and one retry a batch are ours, and so are the running mean and spread of router logits (decay 0.9).
Changed: a batch tried again takes the place of that step's own. Ours: rolling back one update, the stop when more than
a tenth of the batches is skipped, and all anomalies, which are injected on purpose: batches of random bytes (one or six
in a row), second moments shrunk to a hundredth, a gradient 50 times as large. The guard itself is every run's:
`workbench.cards.guard`.

Seen here: random bytes leave a mark without handling, the more so without clipping. Shrunken moments and enlarged
gradients hardly do under AdamW, whose step does not grow with the gradient. The experts' balance suffers while random
bytes pass through them; that it escalates afterwards was not seen.
"""
