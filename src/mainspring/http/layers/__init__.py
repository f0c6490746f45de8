"""The steps of a request, one file each.

A step is a function from what is known at start to a `Layer`, or to None when the route does
not need it, so that a pipeline holds nothing that would do nothing.
"""
