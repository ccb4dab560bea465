#!/usr/bin/env python3
"""Visits every route of the assistant as a client would, and says what it saw.

Needs nothing but Python 3.8 or later. Exit code 1: something was not as the API
promises.

    routes.py                        without speech
    routes.py --audio question.wav   with it

    ITB_URL      the servers, separated by commas (http://127.0.0.1:8000)
    ITB_API_KEY  the key (dev)
"""

import argparse
import http.client
import itertools
import json
import os
import sys
import urllib.parse
import uuid

SERVERS = itertools.cycle(os.environ.get("ITB_URL", "http://127.0.0.1:8000").split(","))
KEY = os.environ.get("ITB_API_KEY", "dev")
QUESTION = {"message": "Berapa SKS untuk lulus sarjana?"}


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


def ask(method, path, body=None, **headers):
    """Sends a request to the next server; `X_API_Key=None` leaves a header out."""
    address = urllib.parse.urlsplit(next(SERVERS))
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=150)
    sent = {"X-API-Key": KEY}
    if isinstance(body, dict):
        body, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
    sent.update({name.replace("_", "-"): value for name, value in headers.items()})
    sent = {name: value for name, value in sent.items() if value is not None}
    try:
        connection.request(method, path, body, sent)
        return Reply(connection.getresponse())
    finally:
        connection.close()


def form(path, **fields):
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    with open(path, "rb") as file:
        audio = file.read()
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="audio"; filename="question"\r\n\r\n'
    body = b"".join(parts) + head.encode() + audio + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def events(body):
    """The events of a stream that has ended; comments between them are none."""
    blocks = [block for block in body.decode().split("\n\n") if "data:" in block]
    return [json.loads(block.split("data:", 1)[1]) for block in blocks]


FAILED = []


def expect(what, reply, status, *conditions):
    holds = reply.status == status and all(conditions)
    print(f"{'ok  ' if holds else 'FAIL'} {what}: {reply.status}")
    if not holds:
        FAILED.append(what)
        print(reply.body[:400].decode(errors="replace"), file=sys.stderr)
    return reply


def health():
    for path in ("/health", "/ready"):
        reply = ask("GET", path, X_API_Key=None)
        expect(f"GET {path} without a key", reply, 200, "status" in reply.json())


def chat():
    conversation = str(uuid.uuid4())
    asked = lambda **headers: ask("POST", "/v1/chat", QUESTION, X_Conversation_Id=conversation, **headers)
    reply = expect("POST /v1/chat", asked(), 200)
    result = reply.json()
    expect("its answer, sources and citations", reply, 200, "144" in result["answer"], result["sources"], result["citations"])
    expect("without a key", asked(X_API_Key=None), 401)
    expect("no JSON", ask("POST", "/v1/chat", b"{", X_Conversation_Id=conversation, Content_Type="application/json"), 400)
    reply = asked(Accept="text/event-stream")
    told = events(reply.body)
    words = "".join(event["text"] for event in told if event["type"] == "answer.delta")
    expect("as events", reply, 200, told[-1]["type"] == "job.completed", words.strip() == told[-1]["result"]["answer"].strip())
    expect("GET its conversation", ask("GET", f"/v1/conversations/{conversation}"), 200)
    expect("DELETE it", ask("DELETE", f"/v1/conversations/{conversation}"), 204)


def submit():
    key = str(uuid.uuid4())
    asked = lambda **headers: ask("POST", "/v1/jobs", {"kind": "chat", **QUESTION}, Idempotency_Key=key, **headers)
    reply = expect("POST /v1/jobs", asked(), 202)
    job = reply.headers["location"]
    again = asked()
    expect("the same again", again, 202, again.headers["location"] == job)
    other = ask("POST", "/v1/jobs", {"kind": "chat", "message": "Apa itu ITB?"}, Idempotency_Key=key)
    expect("another with its key", other, 422)
    preferring = ask("POST", "/v1/chat", QUESTION, Prefer="respond-async, wait=30", X_Conversation_Id=str(uuid.uuid4()))
    expect("Prefer: respond-async, wait=30", preferring, 200, "preference-applied" in preferring.headers)
    return job


def jobs(job):
    reply = ask("GET", f"{job}?wait=30")
    expect("GET the job", reply, 200, reply.json()["status"] == "succeeded")
    whole = expect("GET its events", ask("GET", f"{job}/events"), 200)
    numbers = [event["sequence_number"] for event in events(whole.body)]
    expect("numbered from 1", whole, 200, numbers == list(range(1, len(numbers) + 1)))
    rest = ask("GET", f"{job}/events", Last_Event_ID="2")
    expect("resumed after 2", rest, 200, whole.body.endswith(rest.body), len(events(rest.body)) == len(numbers) - 2)
    expect("resumed after nothing that is", ask("GET", f"{job}/events?starting_after=x"), 400)
    expect("GET audio that it has not", ask("GET", f"{job}/audio"), 404)
    reply = ask("DELETE", job)
    expect("DELETE what is over", reply, 200, reply.json()["status"] == "succeeded")
    expect("GET no job", ask("GET", f"/v1/jobs/{uuid.uuid4()}"), 404)
    expect("DELETE its data", ask("DELETE", f"{job}/data"), 204)
    expect("DELETE them again", ask("DELETE", f"{job}/data"), 204)
    gone = ask("GET", job)
    expect("GET the job without data", gone, 410, gone.json()["code"] == "job_erased")
    expect("DELETE data of no job", ask("DELETE", f"/v1/jobs/{uuid.uuid4()}/data"), 404)


def speech(recording):
    body, kind = form(recording, response_format="url")
    reply = ask("POST", "/v1/audio", body, Content_Type=kind, X_Conversation_Id=str(uuid.uuid4()))
    expect("POST /v1/audio", reply, 200)
    result = reply.json()
    expect("its transcript, emotion and times", reply, 200, result["transcript"], result["emotion"], result["exec_time"])
    audio = result["audio"]
    whole = expect("GET its audio", ask("GET", audio), 200)
    expect("a WAV", whole, 200, whole.body[:4] == b"RIFF", whole.headers["accept-ranges"] == "bytes")
    part = ask("GET", audio, Range="bytes=4-11")
    expect("a range of it", part, 206, part.body == whole.body[4:12])
    expect("HEAD of it", ask("HEAD", audio), 200)
    told = ask("GET", f"/v1/jobs/{result['job_id']}/events")
    spoken = [event["n"] for event in events(told.body) if event["type"] == "audio.delta"]
    expect("its sentences in order", told, 200, spoken and spoken == sorted(set(spoken)))
    body, kind = form(recording, kind="audio")
    reply = expect("POST /v1/jobs with audio", ask("POST", "/v1/jobs", body, Content_Type=kind), 202)
    job = reply.headers["location"]
    reply = ask("DELETE", job)
    expect("DELETE it at once", reply, 200, reply.json()["status"] in ("cancelled", "succeeded"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", metavar="FILE", help="a recorded question")
    options = parser.parse_args()
    health()
    chat()
    jobs(submit())
    if options.audio:
        speech(options.audio)
    expect("nothing there", ask("GET", "/v1/nothing"), 404)
    expect("a method that is not", ask("PUT", "/v1/chat"), 405)
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
