"""What scripts/plots is made of: results.py reads, series.py chooses, drawing.py draws."""
