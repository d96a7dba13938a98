"""Balanced Actor Initialization: reinforcement learning that starts from a merge of three models.

"Balanced Actor Initialization: Stable RLHF Training of Distillation-Based Reasoning Models" (arXiv 2509.00309). A
reconstruction: the abstract gives the two merges, theta_mid = (1 - a) theta_instruct + a theta_distilled and theta = b
theta_mid + (1 - b) theta_pretrained, and no code was published; the ratios' defaults are ours. The mechanism of the
collapse (a critic made from a reward model, GAE with lambda below 1) is that of VC-PPO (arXiv 2503.01491).

Training of a policy from a distilled model, whose long responses verify themselves, shows a dive of the reward that
recovers (the hockey stick) and responses that shorten (the length collapse). Two regimes, in which they were found:

- ``H``: GRPO without a critic, at a learning rate that the instructed model bears.
- ``L``: PPO with a slow critic; the setting was chosen among six for showing the collapse.
"""
