"""The receptionist: prompt, tools, calendar, messages."""
