"""Foundation-model bias under a long tail (Chen et al. 2025): two tails act at once, and one of them is out of sight.

Phenomenon: data imbalance, the class shares of the fine-tuning set, and parameter imbalance, those of the pretraining
that a frozen encoder still prefers. Logit adjustment takes away the first and cannot see the second. Remedy: a backdoor
adjustment, which mixes models of different pretraining.

Exact: the losses, the cosine head and the mix equal the authors' code (golden vectors). Ours: small encoders pretrained
here on tails of real pictures, so that the pretraining prior is known; one bottleneck adapter behind the encoder in
place of one in each block; heads that start from class means; 100 epochs. The paper's text was not at hand: the
estimate of the prior is reconstructed from GLA (Zhu et al. 2023).

What surprises, and stays visible: with ten classes a gap between frequent and rare ones tells first of all which of
them are hard, so that gaps beyond those of an evenly pretrained encoder are shown too, and these still differ much from
seed to seed. The mix gains little over its best model, and half a point over an ensemble of one pretraining. The true
prior in the loss and the estimated one at test time both over-correct; taken from the zero-shot logits it does help.
"""
