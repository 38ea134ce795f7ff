"""The same programs on the system's libfuse and on ours."""
