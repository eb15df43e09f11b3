//! What every process needs: telemetry, health, shutdown, HTTP serving, admin listener.
