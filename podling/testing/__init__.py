"""What the pytest plugin hands out: clusters and namespaces for tests.

Nothing here is imported by the product; whoever writes tests in another framework may use it.
"""
