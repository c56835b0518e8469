"""What `script/bench` runs. Not installed with the package."""
