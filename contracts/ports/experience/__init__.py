"""What dashboards, portals and mobile apps ask of the experience tier."""
