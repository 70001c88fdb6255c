"""How much a caller may send: limits, how they are counted, and how workers share them."""
