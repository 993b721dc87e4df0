"""A registry that is a plain directory, local or shared: for one host, for tests, and for fleets with a shared file system."""
