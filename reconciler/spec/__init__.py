"""The spec: YAML in, validated models out."""
