"""Granular experts (Dynamic-DINO, 2025): cut a dense network into slices, copy them, and start where it stood.

Phenomenon: turned into a mixture of experts a trained network loses what it knew, because a fresh router sends a byte
to slices that do not add up to it, or weighs whole copies with less than 1; and few large experts leave few
combinations.
Remedy: cut the feed-forward network into k slices, copy the set N times, choose k of N·k, and give all slices of a copy
one router row: at the first step every byte gets one whole copy, and learning mixes the slices.

Exact: the outputs of slices, grouped router and weights equal the reference (golden vectors, 1e-12 in float64), and
the whole model's function is kept to rounding. Reconstruction: the authors' code is not public; the initialisation
follows the abstract's statements. Ours: a byte-level language model in place of the object detector Grounding DINO,
which is far outside a CPU's budget; the mechanism is tested, not a detection score. Weights are normalised over the
chosen and add up to k, so that with one slice (k = 1) the router learns from the balancing loss alone.
"""
