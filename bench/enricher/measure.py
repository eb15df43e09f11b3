"""Measures CPU time an event of enrichers over a real broker, one after the other in every round.

Each starts with a group of its own at the beginning of the same topic, pinned to one core, and is
ended once it has written enough. Counted is the CPU time of the process between a tenth of its
events and all of them, so that its start does not count; the broker runs on another core.
"""

import argparse
import asyncio
import logging
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import cpu as cpu_seconds


async def written(consumer, topic, partitions):
    ends = await consumer.end_offsets([TopicPartition(topic, p) for p in range(partitions)])
    return sum(ends.values())


async def measure(consumer, name, command, environment, topic, partitions, count):
    process = subprocess.Popen(
        ["taskset", "-c", "1", *command],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        first, deadline = None, time.monotonic() + 300
        while True:
            if process.poll() is not None:
                words = process.stderr.read().decode(errors="replace")[-2000:]
                raise SystemExit(f"{name} ended: {words}")
            if time.monotonic() > deadline:
                raise SystemExit(f"{name} wrote too little in 300 s")
            now, cpu = await written(consumer, topic, partitions), cpu_seconds(process.pid)
            if first is None and now >= count / 10:
                first = (now, cpu, time.monotonic())
            if now >= count:
                break
            await asyncio.sleep(0.02)
        events = now - first[0]
        seconds = time.monotonic() - first[2]
        return (cpu - first[1]) * 1e6 / events, events / seconds
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--raw", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--binaries", required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--folder", required=True)
    arguments = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    enrichers = f"{arguments.binaries}/examples/bench_enrichers"
    contenders = {
        "rdkafka, passed through": ([enrichers, "pass"], arguments.events),
        "rdkafka + serde_json, one field": ([enrichers, "naive"], arguments.events),
        "weir enricher": ([f"{arguments.binaries}/weir", "enricher"], arguments.events),
        "aiokafka loop": ([arguments.python, f"{here}/aiokafka_loop.py"], arguments.events // 5),
        "faust-streaming": (
            [arguments.python, f"{here}/faust_processor.py", "worker", "-l", "error"],
            arguments.events // 20,
        ),
    }
    # What it says of topics that are not there yet is no news.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    admin = AIOKafkaAdminClient(bootstrap_servers=arguments.brokers)
    await admin.start()
    consumer = AIOKafkaConsumer(bootstrap_servers=arguments.brokers)
    await consumer.start()
    results = {name: [] for name in contenders}
    loads = []
    for number in range(arguments.rounds):
        for index, (name, (command, count)) in enumerate(contenders.items()):
            unique = f"r{number}c{index}"
            topic, group = f"out-{unique}", f"group-{unique}"
            await admin.create_topics([NewTopic(topic, arguments.partitions, 1)])
            environment = {
                "BROKERS": arguments.brokers,
                "FROM": arguments.raw,
                "TO": topic,
                "GROUP": group,
                "WEIR_STREAM": f"kafka://{arguments.brokers}",
                "WEIR_TOPICS__RAW": arguments.raw,
                "WEIR_TOPICS__ENRICHED": topic,
                "WEIR_ENRICHER__GROUP": group,
                "WEIR_ADMIN__LISTEN": "127.0.0.1:0",
                "WEIR_DATA_DIR": arguments.folder,
            }
            cpu, rate = await measure(
                consumer, name, command, environment, topic, arguments.partitions, count
            )
            loads.append(os.getloadavg()[0])
            results[name].append(cpu)
            print(f"round {number + 1}  {name:<32} {cpu:8.2f} us  {rate:9.0f}/s", flush=True)
    await consumer.stop()
    await admin.close()
    weir = statistics.median(results["weir enricher"])
    print(f"\n{arguments.events} events, {arguments.rounds} rounds, load {min(loads):.1f} to {max(loads):.1f}")
    print("| enricher | CPU us an event: median (lowest to highest) | beside weir |\n|---|---|---|")
    for name, values in results.items():
        median = statistics.median(values)
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"| {name} | {median:.1f} ({spread}) | {median / weir:.2f} |")


asyncio.run(main())
