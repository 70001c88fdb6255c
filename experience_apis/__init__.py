"""Views for dashboards, portals and phones, and the pages that show them."""
