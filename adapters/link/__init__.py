"""Ways between nodes: HTTPS, later files carried by hand."""
