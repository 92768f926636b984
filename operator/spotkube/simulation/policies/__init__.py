"""In which order waiting jobs are let in: a file a policy."""
