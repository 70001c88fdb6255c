"""The frame every service stands on: serving, calling, identity, storage, logs.

It knows no business word.
"""
