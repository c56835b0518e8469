"""What a change of the spec means, without the platforms: a plan whose live side is the base spec."""
