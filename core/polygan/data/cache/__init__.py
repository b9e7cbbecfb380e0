"""The cache of decoded data on disk: locks, checksums, builds that can be continued, and an overview."""
