"""The researcher's side: many sites on one machine, baselines, faults, benchmarks."""
