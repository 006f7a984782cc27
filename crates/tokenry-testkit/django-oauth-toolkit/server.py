"""The third real OAuth server of Tokenry's tests: `django-oauth-toolkit`, on loopback, in memory.

    PORT=0 CLIENTS='[{"id": "app", "secret": "...", "redirect_uris": ["http://127.0.0.1/cb"]}]' python server.py

Prints one line, `ready <issuer>`, when it listens. Ends when its standard input closes, so a killed test run leaves
nothing behind. Environment:
    PORT            port on 127.0.0.1; 0 (the default) takes any free one
    ACCESS_TTL_S    life of an access token in whole seconds (default 3)
    CLIENTS         JSON list of clients; `redirect_uris` match with any port, as RFC 8252 section 7.3 asks

Everything of OAuth, and the page where a person consents, is the package's. Ours are the settings, the frame around
the log-in form of Django, and `/__test`.
"""

import json
import os
import sys
import threading
from socketserver import TCPServer
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings

PEOPLE = ["alice", "bob"]
PASSWORD = "the password of everybody here"
SCOPES = {"openid": "Know who you are", "profile": "Know your name", "read": "Read", "write": "Write"}
LOG_IN_PAGE = """<!doctype html><title>Log in</title>
<form method="post">{% csrf_token %}{{ form }}
<input type="hidden" name="next" value="{{ next }}"><button>Log in</button></form>"""


def signing_key():
    """A key of its own for each server: a token signed by one must not pass as another's."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pkcs8 = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.NoEncryption()).decode()


def configure(issuer):
    settings.configure(
        SECRET_KEY="signs-cookies-of-a-loopback-test-server",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        LOGIN_URL="/log-in",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        # Quick on purpose: there is nothing here to guess.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        ("django.template.loaders.locmem.Loader", {"registration/login.html": LOG_IN_PAGE}),
                        "django.template.loaders.app_directories.Loader",
                    ],
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                    ],
                },
            }
        ],
        # As strict as it can be on loopback: every gate of RFC 9700 but the one that forbids plain http.
        OAUTH2_PROVIDER={
            "SCOPES": SCOPES,
            "DEFAULT_SCOPES": ["read"],
            "ACCESS_TOKEN_EXPIRE_SECONDS": int(os.environ.get("ACCESS_TTL_S", "3")),
            "REFRESH_TOKEN_EXPIRE_SECONDS": 24 * 3600,
            "ROTATE_REFRESH_TOKEN": True,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": issuer,
            "OIDC_RSA_PRIVATE_KEY": signing_key(),
            "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
            "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
            "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
            "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
            "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
            "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
            "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
            "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
            "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
        },
    )
    django.setup()


def fill_database():
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from oauth2_provider.models import get_application_model

    call_command("migrate", verbosity=0)
    for name in PEOPLE:
        get_user_model().objects.create_user(username=name, password=PASSWORD)
    application = get_application_model()
    for client in json.loads(os.environ.get("CLIENTS", "[]")):
        application.objects.create(
            name=client["id"],
            client_id=client["id"],
            client_secret=client["secret"],
            redirect_uris=" ".join(client["redirect_uris"]),
            client_type=application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=application.GRANT_AUTHORIZATION_CODE,
            algorithm=application.RS256_ALGORITHM,
        )


token_requests = {"ok": 0, "failed": 0}


def state(_request):
    """What the package's own database says, and how often its token endpoint did what it was asked to."""
    from django.http import JsonResponse
    from django.utils import timezone
    from oauth2_provider.models import get_access_token_model, get_refresh_token_model

    return JsonResponse({
        "token_requests": token_requests,
        "live_access_tokens": get_access_token_model().objects.filter(expires__gt=timezone.now()).count(),
        "live_refresh_tokens": get_refresh_token_model().objects.filter(revoked__isnull=True).count(),
    })


def counting(application):
    """Counts what the token endpoint answers."""

    def wrapped(environ, start_response):
        def start(status, headers, *rest):
            if environ["PATH_INFO"] == "/o/token/":
                token_requests["ok" if status.startswith("200 ") else "failed"] += 1
            return start_response(status, headers, *rest)

        return application(environ, start)

    return wrapped


class Server(WSGIServer):
    def server_bind(self):
        # Without asking a name server what 127.0.0.1 is called.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]
        self.setup_environ()


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def end_with_standard_input():
    sys.stdin.buffer.read()
    os._exit(0)


def main():
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    # One thread serves: the database in memory belongs to it.
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "0"))), QuietHandler)
    base = f"http://127.0.0.1:{server.server_port}"
    configure(f"{base}/o")
    fill_database()

    from django.core.wsgi import get_wsgi_application

    server.set_app(counting(get_wsgi_application()))
    print(f"ready {base}/o", flush=True)
    server.serve_forever()


def __getattr__(name):
    """The addresses, which Django asks this module for when it is set up."""
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.contrib.auth.views import LoginView
    from django.urls import include, path
    from oauth2_provider.urls import metadata_urlpatterns

    return [
        # The issuer has a path, so RFC 8414 section 3.1 wants its description here.
        *metadata_urlpatterns,
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
        path("log-in", LoginView.as_view()),
        path("__test", state),
    ]


if __name__ == "__main__":
    main()
