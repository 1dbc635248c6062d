"""Networks that turn one modality of a patient into an embedding, one file an architecture."""
