"""Studies that a researcher repeats on this machine; one file each."""
