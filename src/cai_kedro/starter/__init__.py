"""`cai-kedro init`: a project folder outside the clone, for the installed package."""
