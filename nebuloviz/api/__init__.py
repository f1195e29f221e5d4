"""The program edge: FastAPI under `/api/v1`, and the health and metrics endpoints."""
