"""Rich feature construction (Bonsai; Zhang, Lopez-Paz and Bottou 2022): features first, then an OoD penalty.

Phenomenon: a penalty for invariance (IRMv1, V-REx, IGA) is either too weak to leave a shortcut or too strong to be
optimised from random weights; its results hinge on how many steps of ERM came before, and accuracy where colour is
flipped peaks and then decays. Remedy: rounds of training on fresh networks, each by group DRO over the pictures that
earlier rounds were right and wrong on, so that it finds other features; one network then learns to answer as all
rounds did, on a pool where rounds disagree half of the time; the OoD method starts there, features frozen or not.

Exact: group DRO, V-REx, IRMv1, synthesis, pseudo-labels and the merged head equal the authors' code (golden vectors,
1e-8 in float64); IGA and spectral decoupling follow its formulas. ColoredMNIST is made as the field makes it, of real
pictures: digits or, as a rule here, clothes. Ours: smaller networks and sets; all stages in one run; the three test
colourings share pictures, label noise and random draws, so that they differ in colour alone.
"""
