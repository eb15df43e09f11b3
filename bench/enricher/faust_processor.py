"""What Weir's enricher replaces: a Faust agent that adds two fields, as the original system does."""

import os

import faust

app = faust.App(
    os.environ["GROUP"],
    broker=f"kafka://{os.environ['BROKERS']}",
    value_serializer="json",
    consumer_auto_offset_reset="earliest",
    topic_partitions=1,
    store="memory://",
    web_enabled=False,
)
raw = app.topic(os.environ["FROM"])
enriched = app.topic(os.environ["TO"])

CATEGORIES = {
    "google": "search_engine",
    "bing": "search_engine",
    "facebook": "social_media",
    "instagram": "social_media",
    "mailchimp": "email_marketing",
}


@app.agent(raw)
async def process(events):
    async for event in events:
        source = event.get("utm_source")
        if source:
            event["source_category"] = CATEGORIES.get(source, "other/unknown")
        user = event.get("user_custom_id")
        if user:
            event["user_email_domain"] = user.split("@")[1] if "@" in user else "n/a"
        await enriched.send(value=event)


if __name__ == "__main__":
    app.main()
