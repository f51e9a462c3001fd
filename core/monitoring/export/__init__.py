"""What is measured, for other programs: as OpenMetrics, as OTLP, as files."""
