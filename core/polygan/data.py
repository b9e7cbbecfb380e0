"""`Source` -> memory-mapped `Store` -> `Stream` of batches."""
