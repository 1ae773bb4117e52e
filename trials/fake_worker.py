"""A worker without engines: reports a load, and answers each connection with its name and pid.

python -m trials.fake_worker NAME FD [up|crash|mute]
"""

import asyncio
import os
import socket
import sys

from trunkline.ops.channel import REPORT_S, Channel, Message, load_message
from trunkline.ops.placement import Load

LOAD = Load(0, 50)


async def main(name: str, fd: int, how: str) -> None:
    stop = asyncio.Event()
    tasks = set[asyncio.Task[None]]()

    async def answer(connection: socket.socket, admits: object) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        await reader.readuntil(b"\r\n\r\n")
        body = f"{name} {os.getpid()} {admits}".encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    def told(message: Message, connection: socket.socket | None) -> None:
        if connection is None:
            stop.set()
        else:
            channel.send({"took": True})
            tasks.add(asyncio.ensure_future(answer(connection, message["give"])))

    channel = Channel(socket.socket(fileno=fd), told, stop.set)
    if how != "mute":
        channel.send(load_message("up", LOAD))
    while not stop.is_set():
        await asyncio.sleep(REPORT_S)
        if how != "mute":
            channel.send(load_message("load", LOAD))
    channel.close()


if __name__ == "__main__":
    if sys.argv[3] == "crash":
        sys.exit(7)
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
