"""KL Explorer: where, how much and whether two language models differ."""

__version__ = "0.1.0"
