"""Scale-up and scale-out (AquilaMoE's EfficientScale, 2024): a small network grows, then becomes experts.

Phenomenon: a network grown from a smaller one either jumps in loss (padded with fresh weights, random layers) or keeps
its function and then learns slowly, because copies of a neuron get the same gradients and stay alike for ever. Remedy:
take added neurons from the next layer (AKI) and put new layers beside those they are copied from (interpolation); then
make every expert a copy of the feed-forward network, behind a fresh router.

Exact: function-preserving growth (FPI) and the AKI rows equal the reference (golden vectors, 1e-12 in float64); with
FPI, new layers that add nothing and a whole width factor the grown model computes what the small one did, and behind a
router whose weights add up to 1 equal experts do, too. Reconstruction: of AquilaMoE only README, figures and abstract
were at hand; "AKI-Pro" is AKI with interpolated depth, grouped-query attention does not occur here. The last layer has
no next one and is copied, so its copies stay tied. Ours: a byte-level model, widths 32 to 64, and loss against computed
operations in place of GPU hours.
"""
