"""What the family's experiments share: streams of tasks, the replay buffer, base strategies, metrics, detectors."""
