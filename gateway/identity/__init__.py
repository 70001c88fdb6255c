"""This room exists to say who somebody is: admins, clients, tokens, and the issuers we trust."""
