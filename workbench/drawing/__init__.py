"""What all pictures and pages share: words, colours, blocks and charts; of backtests nothing is known."""
