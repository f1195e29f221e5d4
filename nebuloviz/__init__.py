"""NebuloViz: a self-hosted, real-time sales analytics dashboard with an anomaly detector built in."""

__version__ = "0.1.0"
