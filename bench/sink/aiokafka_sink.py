"""What one writes first in Python: aiokafka in, aiohttp out, a commit behind each bulk."""

import asyncio
import json
import os

import aiohttp
from aiokafka import AIOKafkaConsumer

URL = os.environ["URL"] + "/_bulk?filter_path=items.*.status"
HEADERS = {"content-type": "application/x-ndjson"}


def lines(record):
    event = json.loads(record.value)
    index = "web-events-" + event["event_timestamp"][:10].replace("-", ".")
    operation = {"create": {"_index": index, "_id": event["event_id"]}}
    return b"%s\n%s\n" % (json.dumps(operation).encode(), record.value)


async def main():
    consumer = AIOKafkaConsumer(
        os.environ["FROM"],
        bootstrap_servers=os.environ["BROKERS"],
        group_id=os.environ["GROUP"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    async with aiohttp.ClientSession() as session:
        while True:
            batches = await consumer.getmany(timeout_ms=500, max_records=5000)
            records = [record for batch in batches.values() for record in batch]
            if not records:
                continue
            body = b"".join(map(lines, records))
            async with session.post(URL, data=body, headers=HEADERS) as answer:
                items = (await answer.json())["items"]
            assert all(item["create"]["status"] in (201, 409) for item in items)
            assert len(items) == len(records)
            await consumer.commit()


asyncio.run(main())
