"""Continual learning: tasks arrive one after another, and what was learned before is to stay."""
