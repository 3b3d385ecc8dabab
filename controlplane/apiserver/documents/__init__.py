"""What the server tells clients about itself: discovery and OpenAPI, made from the kinds. Pure.

May live here: documents that follow from the kinds alone. How they travel belongs into `rest`.
"""
