//! The live page and its search API.
