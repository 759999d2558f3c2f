"""One of several processes that serve an app at the same port: `test_four_modes` kills one.

usage: python shared_port_worker.py MODULE:APP PORT
"""

import importlib
import socket
import sys

import uvicorn

module, _, name = sys.argv[1].partition(":")
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
listener.bind(("127.0.0.1", int(sys.argv[2])))
app = getattr(importlib.import_module(module), name)
config = uvicorn.Config(app, log_level="error", access_log=False, ws="none")
uvicorn.Server(config).run(sockets=[listener])
