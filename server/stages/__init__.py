"""One file a kind of federated work; the file's name is the kind used in plans."""
