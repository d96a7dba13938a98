"""Asymmetric representation learning (ARL, ICCV 2025): two modalities under one loss, of which one sleeps.

Phenomenon: the modality that learns faster satisfies the joint loss; the other's encoder then gets hardly a gradient
and stays far below what it reaches alone, and a noisy modality may lead. Remedy: losses of each modality's read-out
through the shared head, and more gradient for the modality less used and less variable, since the best combination
weighs by inverse variances.

Exact: coefficients, dependence, entropies, losses and clipped gradients equal the authors' code (golden vectors, rtol
1e-6), as do OGM's step, MMPareto's min-norm point and PMR's prototype losses; G-Blend follows its formulas. Ours: small
encoders instead of ResNet-18, a constant learning rate, and each modality alone trained beside every run, so that what
it could do is measured under the same noise. The paper's text was not at hand, its tables are not quoted.

What surprises, and stays visible: the regularisers alone bring nearly all of the gain; correct coefficients are ahead
of constant and of exchanged ones by half a point and less (claims).
"""
