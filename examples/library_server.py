"""A small MCP server on stdio, for `33_mcp_tools.py`."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("library")


@server.tool()
def shelf_of(title: str) -> str:
    """Tell where a book stands."""
    return {"Emma": "shelf 4", "Persuasion": "shelf 5"}[title]


if __name__ == "__main__":
    server.run()
