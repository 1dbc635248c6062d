"""Reading FHIR R4: files, elements, references, and the columns that resources fill."""
