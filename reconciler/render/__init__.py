"""A plan for people: each file is one form. Pure: a plan in, text out."""
