"""`podling store`: its flags, what they come to, and the process."""
