"""GRPO by TRL's own trainer, on any causal language model in transformers' format, steered and recorded live.

What trains here is `trl.GRPOTrainer` as it is published; nothing of loss, advantages or sampling is ours. The model is
a folder on the local disk (``model=/models/Qwen3-0.6B``); nothing is fetched. Without one it is one of the
laboratory's tiny models: `random`, a Llama of 90,000 random weights with one word a token, or `base`, `instruct` and
`distilled`, the laboratory's trained models in GPT-2's format. They are made on disk at first use and speak a made-up
language; nothing they show is a finding about real models.

Phenomenon: at a bold learning rate GRPO runs away from the model that it should improve, and right answers vanish.
Remedy: gentle steps, and a KL to the start (beta), both of which can be moved while it happens. GRPO is from
DeepSeekMath (arXiv 2402.03300).

Needs the extra `rl`: ``pip install 'balance-workbench[rl]'``.
"""
