"""Fresh processes, timed blocks, one side alone or two in turn, and what disturbed them."""
