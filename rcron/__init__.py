"""rcron: run a cron job on exactly one machine of a cluster."""

__version__ = "0.1.0"
