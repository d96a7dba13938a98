"""The card of faults/plain."""

from fault_experiments._declared import card

CARD = card(".loop")
