"""Fast certified training with interval bounds (Shi et al. 2021): exploded bounds, dead ReLUs, and what mends them.

Phenomenon: the half-width of interval bounds grows by a factor a layer, so the certified loss is astronomically large;
and training on bounds pushes ReLUs to be provably dead. Remedy: an initialisation that keeps widths, batch norm behind
every hidden layer, and two regularisers while epsilon ramps up, so that a short ramp is enough.

Exact: bounds, merged margins, regularisers with their gradients, the epsilon schedule and the initialisation equal the
authors' code (golden vectors, rtol 1e-9 in float64). Ours: the narrow CNN-7 on Fashion-MNIST, what a target does that
is moved while epsilon ramps, the attack's step size, and demanding margins > 0 where the authors' code lets 0 pass.

What surprises, and stays visible: with batch norm everywhere the initialisation does *not* change the bounds of the
first step (batch norm divides by the deviation of activations that shrank with the weights), yet it decides the run:
small scale-invariant weights move faster (`relative_change`). Without batch norm it holds the widths, but the signal
vanishes at the same rate, so `relative_width` is that of every other initialisation. And the tightness term cannot
rescue bounds that have exploded: its pull on a layer is d_0 / (tol d_i) (`tightness_pull`).
"""
