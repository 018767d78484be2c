"""Pictures drawn by code with exact landmarks, for the demo and the tests; no file and no network needed."""
