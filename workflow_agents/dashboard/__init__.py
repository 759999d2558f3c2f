"""The dashboard: pages that show the runs of an engine, and by which people act on them.

Each room (`run_pages`, `letters`, `waits`, ...) reads what its page shows; `timeline`, `explain`,
`conversation` and `health` work out what there is to work out, and are pure. It is drawn in the
browser by `web`, of which `static` holds the built form. `site` is the ASGI app.
"""

PATH = "/ui"
"""Where `dev` and `server` serve it."""

EMBEDDED_PATH = "/workflow-agents"
"""Where `Serve(app, dashboard=True)` does."""
