"""A plain asyncio loop that adds the same two fields; at least once, a commit a batch."""

import asyncio
import json
import os

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

CATEGORIES = {
    "google": "search_engine",
    "bing": "search_engine",
    "facebook": "social_media",
    "instagram": "social_media",
    "mailchimp": "email_marketing",
}


def enrich(value):
    event = json.loads(value)
    source = event.get("utm_source")
    if source:
        event["source_category"] = CATEGORIES.get(source, "other/unknown")
    user = event.get("user_custom_id")
    if user:
        event["user_email_domain"] = user.rsplit("@", 1)[-1] if "@" in user else "n/a"
    return json.dumps(event).encode()


async def main():
    brokers = os.environ["BROKERS"]
    consumer = AIOKafkaConsumer(
        os.environ["FROM"],
        bootstrap_servers=brokers,
        group_id=os.environ["GROUP"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=500,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers, acks="all", enable_idempotence=True, linger_ms=5
    )
    await consumer.start()
    await producer.start()
    while True:
        batches = await consumer.getmany(timeout_ms=1000, max_records=500)
        sent = [
            await producer.send(os.environ["TO"], enrich(record.value), record.key)
            for records in batches.values()
            for record in records
        ]
        if sent:
            await asyncio.gather(*sent)
            await consumer.commit()


asyncio.run(main())
