"""The contenders' trainings; importing a module imports the library that it uses."""
