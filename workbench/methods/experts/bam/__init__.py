"""BAM (Zhang et al. 2024): specialists become a mixture of experts with their attention, not with its mean.

Phenomenon: specialists trained apart from one seed are put together by stacking their feed-forward networks and
averaging the rest (Branch-Train-Mix); averaged attention of models that have diverged is worse than any one's. Remedy:
make experts of their attention, too: each runs on every byte and a router weighs their outputs softly, all parameters
apart or with keys and values shared.

No public code was at hand: the architecture follows abstract and summaries. All other weights are averaged, routers are
fresh; the block is parallel from the seed on, y = x + attention(n(x)) + experts(n(x)). With a fresh router the soft mix
is about the mean of the specialists' outputs, which is not the output of their mean weights: both are compared where
they are put together. Ours: a byte-level model, one specialist a domain of text; in the branch stage each batch is
shared out by domain, so that every stage sees the same bytes a step. With one or two attention experts a byte all are
computed all the same and the others weigh nothing. A baseline of equal parameters (more feed-forward experts) is left
out.
"""
