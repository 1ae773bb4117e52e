"""Turns a codec into a Stage: the one place where bytes leave and foreign errors become ours."""
