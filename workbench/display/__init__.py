"""How objects and frames look in a notebook and a terminal; loads no pandas before a frame is shown."""
