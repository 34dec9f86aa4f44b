"""The pages: one module or folder for each family of claims."""
