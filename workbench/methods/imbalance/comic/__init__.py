"""Multi-label classification with a long tail and missing labels: COMIC (Zhang et al., ICCV 2023).

Phenomenon: positives that nobody recorded are trained as negatives; rare classes end up never predicted. Remedy: the
multi-focal modifier (class weights, a probability shift, focusing: easy negatives count little), and a corrector that
trains sure negatives as positives.

Exact: modifiers, corrector, normalised classifiers and balancer equal the authors' code (golden vectors, 1e-6). Not
copied from the released loop: it pairs images of one sampler with labels of another, validates on training data, adds
the three losses' mean to the balanced network's, and leaves the balancer out (here `distil`). Ours: data, networks, and
the gate in front of the corrector, a level a class and an audit, because the modifier raises all probabilities about
threefold: a fixed threshold then recalls hundreds of labels an epoch even where none is missing.

What may surprise, and stays visible: on film genres the remedy ends the silence of rare classes by those raised
probabilities and not by a better ranking, and overfits sooner than cross-entropy; three networks rank worse than one.
The mosaics are a synthetic composite, whose labels a small convolutional network finds.
"""
