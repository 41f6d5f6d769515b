"""What an adapter must do, as tests that its author can run: `steelyard.contract.runner`."""
