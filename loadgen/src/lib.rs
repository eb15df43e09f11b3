//! Fake visitors: the event model, an open-loop driver and a verifier.
