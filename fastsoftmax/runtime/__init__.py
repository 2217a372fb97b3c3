"""What the process runs on: threads, scratch memory, where large arrays lie. May import: nothing of the package."""
