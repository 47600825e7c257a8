"""What the node tells of itself: structured logs that never hold patient text or pixels."""
