import sys


def python_of(environment):
    return sys.executable if environment == "fastsoftmax" else None
