"""LLM agents made of ordinary durable steps."""
