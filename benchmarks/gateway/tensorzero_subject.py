"""TensorZero's gateway out of its wheel: the one that its Python client embeds, alone.

tensorzero_subject.py CONFIG: run in TensorZero's environment; it tells its port in a line of JSON.
"""

import json
import os
import sys
import time

import tensorzero

answers = os.dup(1)
os.dup2(2, 1)  # it logs on standard output, where its port is waited for
gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1],
    clickhouse_url=None,
    postgres_url=None,
    valkey_url=None,
    async_setup=False,
)
port = int(gateway.base_url.rsplit(":", 1)[1].split("/", 1)[0])
os.write(answers, json.dumps({"ready": {"port": port}}).encode() + b"\n")
while True:
    time.sleep(60)
