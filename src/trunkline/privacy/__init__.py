"""What is personal in a text, and how to keep it from those who need not know it. Pure."""
