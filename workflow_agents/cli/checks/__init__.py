"""What `doctor` looks at: this machine, the server, the endpoint. Each room yields findings."""
