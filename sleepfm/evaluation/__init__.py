"""Evaluation: what a model is worth, with numbers, intervals and baselines beside them."""
