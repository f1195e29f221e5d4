"""What goes in and out of the API, by route. Field names are fixed: other programs are written against them."""
