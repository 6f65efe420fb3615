"""Programs that put load on Feira: the benchmark, the load test, the drills."""
