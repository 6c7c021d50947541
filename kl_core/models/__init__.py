"""Local transformers models: loading, scoring, sampling."""
