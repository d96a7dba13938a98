"""CoIN's dynamic EMA (Qiao et al. 2025): instruction tuning that overwrites itself, and an average that weighs steps.

Phenomenon: one set of low-rank adapters, tuned task after task, forgets the earlier instructions; an average of the
weights with one constant either keeps the old or learns the new. Remedy: a coefficient for each tensor and step, from
the distance to the average, the gradient and its change; adapters of their own for instructions unlike any before.

Exact: the average with its coefficients, norms and replacements, and the similarity of instructions, equal the authors'
code (golden vectors, rtol 1e-9 in float64). Changed: a coefficient that cannot be computed is seen (theirs is replaced
silently), the weights after the replacement are a copy, and everything is part of the state. Ours: toy instruction
tuning (six questions about Fashion-MNIST, a frozen random network with adapters), the slider `factor` in place of the
constant 2, one optimiser rate without a schedule. The papers' LLaVA-7B is not built.

What surprises, and stays visible: the norms are plain sums, so that on small tensors the formula exceeds 1 and a
constant runs instead (`dynamic_share`); with the constant 2 the average then ends up as plain sequential tuning. With
the factor .05 it helps much where it runs from the first task on (`average_new`), and hardly where that task is learned
in full, as in the released scripts. What is kept is kept by the grouping: the average on top of it learns less of new
tasks and keeps no more, and a fixed decay of .999 does as well as the dynamic coefficient.
"""
