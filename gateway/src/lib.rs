//! Stage 1: HTTP to stream.
