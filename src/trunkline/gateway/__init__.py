"""Other programs ask for the same endpoints, over HTTP, as they ask OpenAI."""
