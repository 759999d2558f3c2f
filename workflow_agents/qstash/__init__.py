"""Speaking to a server of the QStash protocol: requests, the connection, the client's port."""
