"""Gates: what a notebook must show before it may run by itself.

`passing` runs them in their order; each has a module, or shares one: `headless`, `repeatable`, `future_cut`,
`future_changed`, `own_writes`, `floors`.
"""
