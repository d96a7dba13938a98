"""Semixup (Nguyen et al. 2020): ordinal grading with few labels, consistent on the data manifold and off it.

Phenomenon: with few labels a grade the network is right on these alone, and neighbouring grades are confused. Remedy:
on unlabelled pictures, alike answers to a picture and its augmentation, to a mixed picture and the mix of the answers,
and to the mixed picture and its dominant parent. Coefficients that are whole from the first step can flatten answers
instead: all agree because they are the same.

Exact: the losses, their ablations and gradients equal the authors' code (golden vectors). Ours: knee radiographs are
not to be had, so the pictures are real (Fashion-MNIST) and the grades synthetic (the strength of a blur, in the shares
of KL 0 to 4); a small siamese network with mean pooling; gentle augmentation that leaves the blur alone; a ramp-up and
class-balanced labelled batches, which short runs need; ICT without its moving-average teacher and a light MixMatch.
Labelled pictures are not mixed unless asked for: a mix of a sharp and a blurred picture has sharp edges, so that its
mixed label is wrong, and a supervised run with it ends lower.

What does not reproduce: over a supervised network with as many labels there is no gain on these pictures (three
seeds).
"""
