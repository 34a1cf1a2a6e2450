"""May we pay for this send?"""
