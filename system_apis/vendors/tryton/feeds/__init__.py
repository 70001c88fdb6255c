"""What the connector reads of Tryton: calls.py how, streams.py and books.py what."""
