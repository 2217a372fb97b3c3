"""Softmax over very many classes on CPUs."""
