"""One file a kind of request: site, plan and request in, reply out."""
