"""The gateway as one writes it in Python: aiohttp and aiokafka, acks=all, idempotent.

aiohttp_server.py PORT BROKERS
"""

import asyncio
import sys

from aiohttp import web
from aiokafka import AIOKafkaProducer


async def main(port, brokers):
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers, acks="all", enable_idempotence=True, linger_ms=5
    )
    await producer.start()

    async def collect(request):
        body = await request.read()
        lines = [line for line in body.split(b"\n") if line]
        sent = [await producer.send("raw-web-events", line) for line in lines]
        await asyncio.gather(*sent)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/collect", collect)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
