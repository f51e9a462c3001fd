"""A week of load played with the strategies that really decide, and a clock that is only a number."""
