"""A small MCP server for tests. usage: python mcp_on_stdio.py NOTES [HANG]"""

import os
import sys
import time
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

NOTES, HANG = Path(sys.argv[1]), sys.argv[2:] == ["hang"]

server = MCPServer("shop")


@server.tool()
def price(item: str, amount: int = 1) -> int:
    """The price of an item."""
    with NOTES.open("a", encoding="utf-8") as file:
        file.write(f"price {item}\n")
    if HANG:
        print("in the tool", os.getpid(), file=sys.stderr, flush=True)
        time.sleep(600)
    return 3 * amount


@server.tool()
def fail(why: str) -> str:
    """Fails."""
    raise ToolError(why)


@server.tool(name="shop.delete")
def delete() -> str:
    """Delete the shop."""
    with NOTES.open("a", encoding="utf-8") as file:
        file.write("delete\n")
    return "deleted"


if __name__ == "__main__":
    server.run()
