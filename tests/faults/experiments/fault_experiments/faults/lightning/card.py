"""The card of faults/lightning."""

from fault_experiments._declared import card

CARD = card(".module")
