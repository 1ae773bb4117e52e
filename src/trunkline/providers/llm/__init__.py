"""Language models, one codec a wire protocol."""
