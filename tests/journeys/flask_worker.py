"""The Flask app that `test_flask_sigkill` kills: `python flask_worker.py STORE NOTES PORT`."""

import os
import sys
import time

from flask import Flask

from workflow_agents import Engine, WorkflowContext
from workflow_agents.flask import Serve

STORE, NOTES, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
STEPS = 40

app = Flask(__name__)
serve = Serve(app, engine=Engine(STORE))
notes = os.open(NOTES, os.O_CREAT | os.O_WRONLY | os.O_APPEND)


@serve.route("/work")
def work(context: WorkflowContext[int]) -> int:
    def body(i: int) -> int:
        os.write(notes, f"{context.request_payload} {i}\n".encode())
        time.sleep(0.005)
        return i

    total = 0
    for i in range(STEPS):
        total += context.run(f"step {i}", lambda i=i: body(i))
        if i % 10 == 9:
            context.sleep(f"nap {i}", 0.02)
    return total


if __name__ == "__main__":
    serve.start()
    app.run(port=PORT, threaded=True)
