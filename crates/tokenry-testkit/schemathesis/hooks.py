"""What schemathesis cannot know of this server: who calls, whose ids are real, and what ends a session.

TOKENRY_TEST_WORLD says it in JSON:
  base       where the server is
  role       "owner": calls with the token of the owner of everything; "stranger": with another user's; "nobody": with none
  users      by role, and "leaver" and "changer", whose sessions end: [name, password]
  ids        of the owner's connections
  services   that lead to this machine
  bodies     of imports that work
  urls       that a call could be signed for
  counts     the file to write down in which statuses each operation ended how often
"""

import atexit
import collections
import copy
import json
import os
import random
import re
import zlib

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

WORLD = json.loads(os.environ["TOKENRY_TEST_WORLD"])
ROLE = WORLD["role"]
OWNER = WORLD["users"]["owner"][0]
# A word that may be in the catalogue: whoever is behind it is not to be called by a test.
WORD = re.compile(r"[A-Za-z0-9 _.-]{1,64}")

http = requests.Session()
http.trust_env = False
passwords = {role: password for role, (_, password) in WORLD["users"].items()}
tokens = {}
flows = []
links = []
counts = collections.defaultdict(collections.Counter)


def name_of(case):
    return f"{case.operation.method.upper()} {case.operation.path}"


def ask(method, path, role, body=None):
    return http.request(method, WORLD["base"] + path, json=body, headers={"Authorization": token_of(role)})


def token_of(role):
    if role not in tokens:
        body = {"username": WORLD["users"][role][0], "password": passwords[role]}
        answer = http.post(WORLD["base"] + "/api/auth/login", json=body)
        answer.raise_for_status()
        tokens[role] = answer.json()["access_token"]
    return tokens[role]


def role_of(case):
    """Whose token goes along. What ends a session ends that of somebody who is there for it."""
    if ROLE != "owner":
        return ROLE
    return {"POST /api/auth/logout": "leaver", "PUT /api/auth/password": "changer"}.get(name_of(case), ROLE)


if ROLE != "nobody":

    @schemathesis.auth(refresh_interval=None)
    class AccessToken:
        def get(self, case, context):
            return token_of(role_of(case))

        def set(self, case, data, context):
            case.headers["Authorization"] = data


def dice(case):
    """Luck that is the same for the same case, whatever was thrown before."""
    seen = repr((name_of(case), case.path_parameters, case.query, case.body))
    return random.Random(zlib.crc32(seen.encode("utf-8", "surrogatepass")))


def is_as_documented(case, where):
    return case.meta is None or not case.meta.is_negative_at(where)


def fresh_connection():
    body = {"name": "to be deleted", "token_type": "sandbox", "token": "of no use"}
    answer = ask("POST", f"/api/users/{OWNER}/add/connection", "owner", body)
    answer.raise_for_status()
    return int(answer.headers["Location"].rsplit("/", 1)[1])


def with_service(body, member, luck):
    service = body.get(member)
    if not isinstance(service, str) or (WORD.fullmatch(service.strip()) and service not in WORLD["services"]):
        body[member] = luck.choice(WORLD["services"])


def real_path(case, luck):
    path = case.path_parameters
    if "username" in path and luck.random() < 0.9:
        path["username"] = OWNER
    if "id" in path and luck.random() < 0.85:
        ends = case.operation.path.endswith("/revoke") or case.operation.method.upper() == "DELETE"
        is_own = path.get("username") == OWNER and ROLE == "owner"
        path["id"] = fresh_connection() if ends and is_own else luck.choice(WORLD["ids"])
    if "flow" in path and flows and luck.random() < 0.8:
        path["flow"] = luck.choice(flows)
    if "link" in path and links and luck.random() < 0.8:
        path["link"] = luck.choice(links)


def real_body(case, luck):
    name, body = name_of(case), copy.deepcopy(case.body)
    if not isinstance(body, dict):
        return
    if name == "PUT /api/auth/password" and luck.random() < 0.5:
        body["current_password"] = passwords["changer"]
    elif name == "POST /api/auth/signup" and luck.random() < 0.5:
        # The name of the example is taken.
        body["username"] = "".join(luck.choices("abcdefghijklmnopqrstuvwxyz", k=12))
    elif name == "POST /api/auth/login" and luck.random() < 0.3:
        body["username"], body["password"] = WORLD["users"]["leaver"]
    elif name.endswith("/connections") and luck.random() < 0.6:
        body = copy.deepcopy(luck.choice(WORLD["bodies"]))
        body["name"] = case.body.get("name")
    elif name.endswith("/authorization") and luck.random() < 0.5:
        body["url"] = luck.choice(WORLD["urls"])
        body["method"] = luck.choice(["GET", "POST", "DELETE"])
    elif name.endswith(("/authorize", "/device")) and luck.random() < 0.6:
        # Settings and scopes that somebody made up are refused before anything else is looked at.
        body.pop("settings", None)
        body.pop("scopes", None)
        if "service" in body:
            body["service"] = "sandbox"
    elif name.endswith("/connect/links") and luck.random() < 0.6:
        # No origin and no return address is allowed here, and most words are no service.
        body.pop("origin", None)
        body.pop("return_to", None)
        body["services"] = [luck.choice(["sandbox", "old"])]
    case.body = body


@schemathesis.hook
def before_call(context, case, kwargs):
    luck = dice(case)
    if case.path_parameters and is_as_documented(case, ParameterLocation.PATH):
        real_path(case, luck)
    service = (case.path_parameters or {}).get("service")
    if service is not None and (WORD.fullmatch(str(service)) or luck.random() < 0.3):
        case.path_parameters["service"] = luck.choice([*WORLD["services"], "sandbox", "old", "no-such-service"])
    if isinstance(case.body, dict):
        if is_as_documented(case, ParameterLocation.BODY):
            real_body(case, luck)
        for member in ("service", "token_type"):
            if isinstance(case.body.get(member), str):
                with_service(case.body, member, luck)


@schemathesis.hook
def after_call(context, case, response):
    counts[name_of(case)][str(response.status_code)] += 1
    if response.status_code not in (200, 201):
        return
    name = name_of(case)
    if name == "POST /api/auth/logout":
        tokens.pop(role_of(case), None)
    elif name == "PUT /api/auth/password":
        tokens.pop(role_of(case), None)
        passwords[role_of(case)] = case.body["new_password"]
    elif name.endswith("/connections/device"):
        flows.append(response.json()["id"])
    elif name.endswith("/connect/links"):
        links.append(response.json()["id"])


@schemathesis.check
def nobody_gets_what_is_not_theirs(ctx, response, case):
    """Without a token nothing that wants one is to be had; with another user's, nothing of the owner's."""
    if not case.operation.definition.raw.get("security") or response.status_code >= 400:
        return
    sent = response.request.headers.get("Authorization")
    assert sent, f"status {response.status_code} without a token"
    if ROLE == "stranger":
        whose = str(case.path_parameters.get("username", "")).lower()
        assert whose != OWNER.lower(), f"status {response.status_code} for a stranger"


@schemathesis.check
def every_answer_is_marked(ctx, response, case):
    """Every answer has an id and may not be kept; every error has a message and a code, and says what else it must."""
    headers = response.headers
    assert headers.get("x-request-id"), "no X-Request-Id"
    assert headers.get("cache-control") == ["no-store"], f"Cache-Control is {headers.get('cache-control')}"
    if response.status_code >= 400 and case.method != "HEAD":
        error = json.loads(response.content)
        assert set(error) == {"code", "message"} and error["code"] and error["message"], f"the error is {error}"
    if response.status_code == 401:
        assert headers.get("www-authenticate"), "401 without WWW-Authenticate"
    if response.status_code in (429, 503):
        assert headers.get("retry-after"), f"{response.status_code} without Retry-After"


@atexit.register
def write_counts():
    with open(WORLD["counts"], "w", encoding="utf-8") as out:
        json.dump(counts, out)
