"""Tests of the pages, in Streamlit's own harness."""

import logging

# outside `streamlit run` the caches are plain memory, which is what these tests want
logging.getLogger("streamlit.runtime.caching.cache_data_api").disabled = True
