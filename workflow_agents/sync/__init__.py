"""The synchronous faces of context and client: thin, and nothing is decided in them.

Every method is one expression: it hands the call of its asynchronous twin to a running loop and
waits. `loop_thread` has the loop for that, `workflow_thread` the thread of a workflow function.
"""
