"""AdaB2N (Lv et al. 2023): normalisation statistics that follow the newest task, and two ways to balance them.

Phenomenon: the running mean and variance of batch norm are an exponential window over the last few dozen batches, so
that old tasks are tested with the newest task's statistics. Remedy: weigh the tasks in the batch's statistics by the
posterior of a Dirichlet prior that is learned, make the window longer (kappa), and pull the statistics of batch and
window together; new and replayed images go through the network in one forward.

Exact: the layer with its gradients and step sizes, and whole training steps of ER-ACE and DER++ with BN and with
AdaB2N, equal the authors' code (golden vectors, rtol 1e-9 in float64). Changed: the step size of the window is part of
the state (theirs restarts when a run is resumed), the batch's composition is a context and not an attribute left over
from the last step. Ours: the small network and the short streams, the signals `bn_mass` and `bn_recency`, the arm
`bn_joint`, `renormalise`, and the exact mask of ER-ACE.

What surprises, and stays visible: most of the gain over batch norm is the joint forward alone; kappa from 0.4 up
changes nearly nothing, and near 0 the oldest task dominates instead of the newest (`bn_mass`).
"""
