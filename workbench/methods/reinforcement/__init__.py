"""Reinforcement learning of small language models: rewards that dive, responses that shorten, policies that freeze."""
