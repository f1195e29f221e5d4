"""Sales in: bytes become `Sale | Rejected` (`sale`), come from `sources`, are written by `sinks`, moved by the `consumer`."""
