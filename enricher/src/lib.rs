//! Stage 2: stream to stream.
