"""The cache of decoded data on disk: its folders, builds that can be continued, and an overview."""
