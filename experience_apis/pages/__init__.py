"""Server-rendered pages over the views: templates and two small files, nothing from elsewhere."""
