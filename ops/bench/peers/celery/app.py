"""The same question as `POST /v1/chat`, carried by Celery: no work, one durable hop, the result by Redis."""

import asyncio

from fastapi import FastAPI, Request

from tasks import answer

app = FastAPI()


@app.post("/v1/chat")
async def chat(request: Request) -> dict:
    body = await request.json()
    # `get` blocks its thread on the result's announcement in Redis.
    return await asyncio.to_thread(lambda: answer.delay(body["message"]).get(timeout=30))
