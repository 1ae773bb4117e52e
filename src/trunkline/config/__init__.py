"""The YAML file, validated and frozen."""
