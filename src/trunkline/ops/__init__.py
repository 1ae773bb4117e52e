"""Running many workers as one: placement, supervision, the channel between parent and worker."""
