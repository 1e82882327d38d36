"""Makers of what is committed ready-made: sample recordings, the language model, pages, pictures, charts."""
