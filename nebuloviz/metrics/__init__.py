"""The metrics layer: what can be measured (`registry`), a question (`query`), and its answer in SQL (`sql`, `rollups`)."""
