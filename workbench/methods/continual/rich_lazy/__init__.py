"""Rich and lazy learning by the rank of the initial weights (Liu et al. 2024): a diagnosis, and an initialisation.

Phenomenon: two networks that reach the same loss may have rebuilt their features (rich) or behave like their own
linearisation (lazy); features that are rebuilt are at risk when the task changes. Remedy: initial weights of full rank
at the same norm make learning lazier; the exception is a low rank that is aligned with the task.

Exact: rank-cut initial weights, training, weight change, sign similarity, alignments of hidden states and of tangent
kernels equal the formulas of the authors' script (golden vectors, rtol 1e-7 in float64). Ours: three effective ranks
(they disagree; all are shown), a two-alternative decision task of 8 steps in place of neurogym's, the aligned exception
as a linear student with its teacher, rows of Fashion-MNIST, and the rule that is swapped after learning.

What surprises, and stays visible: the recurrent matrix moves by a twentieth of its norm in either regime, so that the
relative change alone does not tell them apart; and below a width of a few dozen units the order of ranks is not there.
"""
