"""How much to imitate and how much to explore, learned while training: one loss with a weight that a controller steers.

"AMFT: Aligning LLM Reasoners by Meta-Learning the Optimal Imitation-Exploration Balance" (arXiv 2508.06944). Supervised
fine-tuning and reinforcement learning are two terms of one loss, (1 - mu) L_RL + mu L_SFT. A controller moves mu along
the gradient of a validation reward, taken through one step of training, and by how far entropy is from a target. Its
formulas are reconstructed from the abstract.
"""
