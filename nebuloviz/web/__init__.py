"""The browser edge: Dash on Flask, its guard, its shell, and the pure parts that pages are made of."""
