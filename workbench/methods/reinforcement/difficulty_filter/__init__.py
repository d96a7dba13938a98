"""Online difficulty filtering: learn from prompts that the policy gets right about half of the time.

"Online Difficulty Filtering for Reasoning Oriented Reinforcement Learning" (arXiv 2504.03380). A reconstruction: the
abstract was at hand and no code was published. Under it stands a short calculation. The best policy of KL-regularised
reinforcement learning is pi*(y) proportional to pi_0(y) exp(r / beta); for rewards of 0 and 1 and a pass rate p it is
away from pi_0 by KL(pi_0 || pi*) = log(1 - p + p exp(1 / beta)) - p / beta, which is about p (1 - p) / (2 beta^2): a
prompt that is always or never solved has nothing to teach.

So prompts are answered G times each by the policy as it stands, those with a pass rate inside a band are kept, and
drawing goes on until the batch is full or a cap is reached. What is thrown away costs rollouts; whether the filter pays
depends on what is counted: steps, rollouts or seconds.
"""
