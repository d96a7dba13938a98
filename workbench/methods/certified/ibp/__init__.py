"""Fast certified training with interval bounds (Shi et al. 2021): exploded bounds, dead ReLUs, and what mends them.

Phenomenon: the half-width of interval bounds grows by a factor a layer, so the certified loss is astronomically large;
and training on bounds pushes ReLUs to be provably dead. Remedy: an initialisation that keeps widths, batch norm behind
every hidden layer, and two regularisers while epsilon ramps up, so that a short ramp is enough. Beside it the losses
that are compared today, between an attack (a lower bound of the worst case) and intervals (an upper one), and verifiers
tighter than intervals.

Exact: bounds, merged margins, regularisers with their gradients, the epsilon schedule, the initialisation, CROWN-IBP
and CROWN equal the authors' code and auto_LiRPA; MTL-IBP, CC-IBP, Exp-IBP and SABR equal CTBench's formulas (golden
vectors, rtol 1e-9 in float64, CROWN 1e-7). Read and written anew, without golden vectors: TAPS, the attack in training.
Ours: the narrow CNN-7 on Fashion-MNIST, what a target does that is moved while epsilon ramps, the attacks' step sizes,
the small Wide-ResNet, and demanding margins > 0 where the authors' code lets 0 pass.

What surprises, and stays visible: with batch norm everywhere the initialisation does *not* change the bounds of the
first step (batch norm divides by the deviation of activations that shrank with the weights), yet it decides the run:
small scale-invariant weights move faster (`relative_change`). Without batch norm it holds the widths, but the signal
vanishes at the same rate, so `relative_width` is that of every other initialisation. And the tightness term cannot
rescue bounds that have exploded: its pull on a layer is d_0 / (tol d_i) (`tightness_pull`).

Where to find what: `loss` and `losses` (one a file), `scene` (what a loss may ask), `interval` and `crown` (bounds),
`verify` (`certify` one's own network), `attack`, `networks`.
"""
