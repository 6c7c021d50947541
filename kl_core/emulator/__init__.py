"""Local servers that speak the real protocols, answering from the tiny sample models."""
