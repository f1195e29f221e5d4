"""What the pages show: plain functions from services' answers to charts and components. No callbacks, ids of pages or services."""
