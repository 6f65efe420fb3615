"""The whole of Feira on one machine without Docker: `make run` and its companions."""
