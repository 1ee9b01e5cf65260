"""The Streamlit app: what a reader sees and clicks. It imports `inspector`; nothing imports it."""
