"""Plans and outcomes for people. `report.py` computes once what there is to say; each other file is one form. Pure."""
