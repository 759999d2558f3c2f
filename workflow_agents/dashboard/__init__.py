"""The dashboard: pages that show the runs of an engine, and by which people act on them.

What is shown is read in `run_pages` and `listing`, worked out in `timeline` and `explain`, which
are pure, and drawn in the browser by `web`, of which `static` holds the built form.
"""
