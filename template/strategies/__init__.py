"""The rules of this project, one file each: `from strategies.breakout import breakout`."""
