"""Time to quality: every installed system on the same problems, each in a process of its own."""
