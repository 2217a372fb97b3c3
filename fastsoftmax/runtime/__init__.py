"""What the process runs on: threads, scratch memory, and where large arrays lie. May import: nothing of the package."""
