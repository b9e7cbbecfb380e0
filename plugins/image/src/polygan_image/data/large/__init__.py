"""Large pictures: read and written in bands of rows, so that memory does not depend on their height."""
