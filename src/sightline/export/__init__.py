"""A trained run as one file that needs no torch: graph, parity gate, int8, latency. Next: resample.py."""
