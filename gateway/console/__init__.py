"""The admin console: pages made on the server, over the same stores as the admin API."""
