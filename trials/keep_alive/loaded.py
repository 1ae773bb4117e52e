"""What the nursery loads: all that a worker of these trials runs."""

from trunkline.console import cli, serving, working
from trunkline.providers.llm import openai
from trunkline.providers.stt import deepgram
from trunkline.providers.tts import cartesia, elevenlabs

__all__ = ["cartesia", "cli", "deepgram", "elevenlabs", "openai", "serving", "working"]
