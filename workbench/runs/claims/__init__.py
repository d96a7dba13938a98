"""Claims: running what a paper's claim needs, judging it by the card's rule, keeping the result. No torch."""

from workbench.runs.claims.campaign import Campaign, find_claims
from workbench.runs.claims.results import load, results, save

__all__ = ["Campaign", "find_claims", "load", "results", "save"]
