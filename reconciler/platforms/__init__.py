"""The platforms: one folder each. `catalog` lists them; nothing else in the core names one."""
