"""Values as notebooks show them: escaped, self-contained HTML, and Markdown beside it."""
