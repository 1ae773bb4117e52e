"""Audio maths: G.711, resampling, voice activity, tapes."""
