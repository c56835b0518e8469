"""A proxy that ends TLS before a server: nginx, with a certificate that an authority of the test's own has signed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

#: ordinary users' PATH is without the folder in which Debian has nginx
SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
#: https://nginx.org/en/docs/http/ngx_http_proxy_module.html. The lines of the access log are those of `Proxy.requests`
_CONFIGURATION = """
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  log_format request '$request_method $request_uri $status';
  access_log {folder}/access.log request;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    location / {{
      proxy_pass {backend};
      proxy_http_version 1.1;
      proxy_request_buffering off;
      {headers}
    }}
  }}
}}
"""
#: what makes a proxy say for whom it asks
FORWARDED = {
    "X-Forwarded-Proto": "$scheme",
    "X-Forwarded-Host": "$http_host",
    "X-Forwarded-For": "$proxy_add_x_forwarded_for",
}


class Proxy:
    """What clients see: https://`place`. `authority`: a folder with the certificate that they must trust."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        # listening before nginx starts, which takes it over: nobody else gets the port, and no client comes too early
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.listener.setblocking(False)  # as nginx has its own
        self.port = self.listener.getsockname()[1]
        self.place = f"localhost:{self.port}"
        self.authority = folder / "authority"
        self.authority.mkdir()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority / "ca.crt")
        issued = authority.issue_cert("localhost")
        (folder / "server.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(folder / "server.key")

    @contextmanager
    def before(self, backend: str, headers: dict[str, str]) -> Iterator[None]:
        """Passes on to `backend`, a URL, while the block runs. `headers`: what it adds, by name, with nginx's variables."""
        program = shutil.which("nginx", path=SEARCHED)
        assert program is not None
        lines = " ".join(f'proxy_set_header {name} "{value}";' for name, value in headers.items())
        text = _CONFIGURATION.format(folder=self.folder, port=self.port, backend=backend, headers=lines)
        (self.folder / "nginx.conf").write_text(text)
        # as nginx passes its sockets on when its program is replaced: https://nginx.org/en/docs/control.html#upgrade
        environ = {**os.environ, "NGINX": f"{self.listener.fileno()};"}
        running = subprocess.Popen(
            [program, "-c", str(self.folder / "nginx.conf"), "-e", str(self.folder / "error.log")],
            env=environ,
            pass_fds=[self.listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            running.terminate()
            running.wait(timeout=30)
            self.listener.close()

    def requests(self) -> list[str]:
        """Method, target and status of all requests that came, in their order."""
        return (self.folder / "access.log").read_text().splitlines()
