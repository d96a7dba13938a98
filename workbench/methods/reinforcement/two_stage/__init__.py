"""Supervised fine-tuning for accuracy, then GRPO for length: the two-stage recipe for mathematical reasoning.

"A Practical Two-Stage Recipe for Mathematical LLMs: Maximizing Accuracy with SFT and Efficiency with Reinforcement
Learning" (arXiv 2507.08267). The rewards are those of the authors' code (analokmaus/kaggle-aimo2-fast-math-r1), with
tokens in place of its characters.

Long fine-tuning on the traces of a teacher raises accuracy, and responses stay as long as the teacher's. GRPO from
there, with rewards for form, for accuracy weighed by length, and for being shorter than the other responses to the same
prompt, shortens them.
"""
