"""What the family's experiments share: synthetic verifiable tasks, tiny language models, sampling, trained starts."""
