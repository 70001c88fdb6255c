"""The public port: an asyncio protocol on both sides, and the compiled pipe between them."""
