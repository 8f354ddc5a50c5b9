"""Display of objects and frames in notebooks and terminals; imports pandas only when a frame is shown."""
