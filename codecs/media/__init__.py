"""What people have: pictures, sounds and symbols in files and in memory, and whole files read and written safely."""
