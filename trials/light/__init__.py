"""A rig for a hundred calls on two cores: models that cost nothing, speech that says what it is."""
