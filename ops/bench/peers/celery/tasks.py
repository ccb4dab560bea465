"""At the durability of the pipeline: quorum queues, confirmed publishes, acknowledged when done, results kept for a day."""

import os

from celery import Celery

app = Celery(
    "bench",
    broker=os.environ["AMQP_URL"],
    backend=os.environ["REDIS_URL"],
)
app.conf.update(
    task_default_queue="bench.celery",
    task_default_queue_type="quorum",
    broker_transport_options={"confirm_publish": True},
    task_acks_late=True,
    worker_prefetch_multiplier=32,
    result_expires=86_400,
)


@app.task
def answer(message: str) -> dict:
    return {"answer": message}
