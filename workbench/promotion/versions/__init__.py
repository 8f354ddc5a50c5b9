"""What is done with the versions of a deployment: put to use, gone back to, compared, run as a shadow."""
