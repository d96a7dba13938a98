"""Figures: card and journal become ChartData, a live feed of frames, and plotly figures. No widget, no torch."""
