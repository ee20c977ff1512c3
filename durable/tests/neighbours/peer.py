# A program on the real dbos, for the tests beside this file: application "snake" with a few workflows, and a client.
# It takes commands from its standard input and answers on its standard output, one JSON object a line.
import json
import sys
import time

from dbos import DBOS, DBOSClient, WorkflowSerializationFormat

PORTABLE = WorkflowSerializationFormat.PORTABLE
URL = sys.argv[1]

DBOS(
    config={
        "name": "snake",
        "system_database_url": URL,
        "application_version": "snake-1",
        "executor_id": "snake-1",
        "log_level": "CRITICAL",
    }
)


@DBOS.step()
def upper(name):
    return name.upper()


@DBOS.workflow(name="greet", serialization_type=PORTABLE)
def greet(name, punctuation):
    if name == "":
        raise ValueError("nobody is named")
    return "hello " + upper(name) + punctuation


@DBOS.workflow(name="await_mail", serialization_type=PORTABLE)
def await_mail():
    DBOS.set_event("ready", {"n": 7}, serialization_type=PORTABLE)
    return DBOS.recv("news", 60)


@DBOS.workflow(name="tell", serialization_type=PORTABLE)
def tell(destination):
    DBOS.send(destination, {"from": "python"}, "news", serialization_type=PORTABLE)
    return DBOS.get_event(destination, "progress", 60)


def status(row):
    names = ["workflow_id", "status", "name", "app_version", "executor_id", "application_name", "queue_name", "output"]
    found = {name: getattr(row, name) for name in names}
    found["input"] = row.input
    found["error"] = None if row.error is None else str(row.error)
    return found


def step(row):
    names = ["function_id", "function_name", "output", "child_workflow_id"]
    return {name: row[name] for name in names} | {"error": None if row["error"] is None else str(row["error"])}


def answer(client, command):
    what = command["do"]
    if what == "enqueue":
        options = {
            "workflow_name": command["name"],
            "queue_name": command["queue"],
            "workflow_id": command["id"],
            "application_name": command["application"],
            "serialization_type": PORTABLE,
        }
        return client.enqueue(options, *command["arguments"]).workflow_id
    if what == "result":
        try:
            return {"value": client.retrieve_workflow(command["id"]).get_result()}
        except Exception as error:
            fields = {name: getattr(error, name, None) for name in ["name", "message", "code", "data"]}
            return {"error": type(error).__name__, "fields": fields}
    if what == "send":
        client.send(command["id"], command["message"], command["topic"], serialization_type=PORTABLE)
        return None
    if what == "get_event":
        begun = time.monotonic()
        value = client.get_event(command["id"], command["key"], command["timeout"])
        return {"value": value, "at": time.time(), "waited": time.monotonic() - begun}
    if what == "cancel":
        return client.cancel_workflow(command["id"])
    if what == "resume":
        client.resume_workflow(command["id"])
        return None
    if what == "list":
        return [status(row) for row in client.list_workflows(application_name=command["application"])]
    if what == "steps":
        return [step(row) for row in client.list_workflow_steps(command["id"])]
    raise ValueError(what)


DBOS.launch()
DBOS.register_queue("py-queue", polling_interval_sec=0.1)
client = DBOSClient(system_database_url=URL, use_listen_notify=True)
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    print(json.dumps({"answer": answer(client, json.loads(line))}), flush=True)
client.destroy()
DBOS.destroy()
