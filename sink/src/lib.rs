//! Stage 3: stream to store.
